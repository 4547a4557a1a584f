package gateway

import (
	"sync"
	"time"

	"github.com/prometheus/procfs"

	"github.com/wsfleet/wsfleet/gateway/serverapi"
)

// minUsageInterval is the shortest time over which the use of processors is measured.
const minUsageInterval = time.Second

// usageMeter measures what this process uses. It is safe for use by many goroutines.
type usageMeter struct {
	// mu guards the fields below.
	mu sync.Mutex
	// at and seconds are the time of the last measurement and the processors' seconds until then.
	at      time.Time
	seconds float64
	percent float64
}

func newUsageMeter() *usageMeter {
	m := &usageMeter{at: time.Now()}
	if stat, err := selfStat(); err == nil {
		m.seconds = stat.CPUTime()
	}
	return m
}

func selfStat() (procfs.ProcStat, error) {
	self, err := procfs.Self()
	if err != nil {
		return procfs.ProcStat{}, err //nolint:wrapcheck // the caller only checks that there is one
	}
	return self.Stat() //nolint:wrapcheck // the caller only checks that there is one
}

// measure returns the use of processors since the last call that was at least minUsageInterval ago, and the memory now.
// It returns nil on systems that do not tell.
func (m *usageMeter) measure() *serverapi.Process {
	stat, err := selfStat()
	if err != nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if passed := time.Since(m.at); passed >= minUsageInterval {
		seconds := stat.CPUTime()
		m.percent = 100 * (seconds - m.seconds) / passed.Seconds()
		m.at, m.seconds = time.Now(), seconds
	}
	return &serverapi.Process{CPU: m.percent, RSS: int64(stat.ResidentMemory())}
}

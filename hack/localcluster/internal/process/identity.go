// Package process starts the processes of a cluster so that they outlive the command that started them, and later ends
// exactly those. It identifies a process by more than its id, which the kernel reuses.
package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Identity names one process for as long as the machine runs and after it has
// been restarted: an id together with the moment it began and the boot it
// began in.
type Identity struct {
	PID int `json:"pid"`
	// Start is the time the process began, in clock ticks since the boot.
	Start uint64 `json:"start"`
	Boot  string `json:"boot"`
}

// Identify returns the identity of the process pid, also of a zombie. It returns an error when there is no such
// process.
func Identify(pid int) (Identity, error) {
	now, err := readStat(pid)
	if err != nil {
		return Identity{}, err
	}
	boot, err := bootID()
	if err != nil {
		return Identity{}, err
	}
	return Identity{PID: pid, Start: now.start, Boot: boot}, nil
}

// Alive reports whether the process runs and is still the same one.
func (id Identity) Alive() bool {
	if id.PID <= 0 {
		return false
	}
	now, err := readStat(id.PID)
	if err != nil || now.ended || now.start != id.Start {
		return false
	}
	boot, err := bootID()
	return err == nil && boot == id.Boot
}

// stat is what decides of /proc/PID/stat.
type stat struct {
	start uint64
	// ended is set for a zombie.
	ended bool
}

func readStat(pid int) (stat, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(line)
}

// parseStat reads fields 3 and 22. The name in field 2 may hold spaces and
// parentheses, so the counting begins behind its last one.
func parseStat(line []byte) (stat, error) {
	end := bytes.LastIndexByte(line, ')')
	if end < 0 {
		return stat{}, fmt.Errorf("process status without a name: %q", line)
	}
	const state, start = 0, 19
	fields := strings.Fields(string(line[end+1:]))
	if len(fields) <= start {
		return stat{}, fmt.Errorf("process status with %d fields behind the name, expected more than %d", len(fields), start)
	}
	began, err := strconv.ParseUint(fields[start], 10, 64)
	return stat{began, fields[state] == "Z" || fields[state] == "X"}, err
}

func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}

package server

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/internal/contract"
)

var demo = client.ObjectKey{Namespace: "team", Name: "demo"}

// fakeReader answers for one gateway.
type fakeReader struct {
	mu sync.Mutex
	// reads counts the reads.
	reads int
	// takes is how long a read takes.
	takes       time.Duration
	connections int
	// err is the error of the gateway, and failure that of the read.
	err, failure error
}

// Read implements fleetReader.
func (r *fakeReader) Read(ctx context.Context, _ client.ObjectKey, _ fleet.Slots) ([]fleet.Answer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reads++
	select {
	case <-time.After(r.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if r.failure != nil {
		return nil, r.failure
	}
	answer := fleet.Answer{Pod: podNamed("a", true), Err: r.err}
	if r.err == nil {
		answer.At = time.Now()
		answer.Report = contract.GatewayReport{State: contract.StateServing, Connections: r.connections, MaxConnections: 10}
	}
	return []fleet.Answer{answer}, nil
}

// newTestReadings returns readings of a reader.
func newTestReadings(reader fleetReader) *readings {
	return newReadings(reader, func(client.ObjectKey) {}, logr.Discard())
}

// sum returns the connections of the demo fleet.
func (r *readings) sum(t *testing.T) (int64, error) {
	t.Helper()
	read, err := r.read(t.Context(), demo)
	require.NoError(t, err)
	fleet, err := count(read.gateways, time.Now())
	if err != nil {
		return 0, err
	}
	quantity, err := fleet.connections()
	return quantity.Value(), err
}

func TestReadingsShareOneReadingForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &fakeReader{takes: 100 * time.Millisecond, connections: 3}
		readings := newTestReadings(reader)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				_, err := readings.read(t.Context(), demo)
				assert.NoError(t, err)
			})
		}
		all.Wait()
		assert.Equal(t, 1, reader.reads, "at the same time")
		time.Sleep(shareFor - time.Millisecond)
		_, err := readings.read(t.Context(), demo)
		require.NoError(t, err)
		assert.Equal(t, 1, reader.reads, "soon after")
		time.Sleep(time.Millisecond)
		_, err = readings.read(t.Context(), demo)
		require.NoError(t, err)
		assert.Equal(t, 2, reader.reads)
		_, err = readings.read(t.Context(), client.ObjectKey{Namespace: "team", Name: "other"})
		require.NoError(t, err)
		assert.Equal(t, 3, reader.reads, "another fleet")
	})
}

func TestReadingsUseTheLastReportOfASilentGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &fakeReader{connections: 7}
		readings := newTestReadings(reader)
		_, err := readings.sum(t)
		require.NoError(t, err)
		reader.err = errSilent
		for range 3 {
			time.Sleep(10 * time.Second)
			connections, err := readings.sum(t)
			require.NoError(t, err)
			assert.Equal(t, int64(7), connections)
		}
		time.Sleep(10 * time.Second)
		_, err = readings.sum(t)
		require.ErrorContains(t, err, "no report of the last 30s from a (timeout)")

		reader.err, reader.connections = nil, 9
		time.Sleep(shareFor)
		connections, err := readings.sum(t)
		require.NoError(t, err)
		assert.Equal(t, int64(9), connections)
	})
}

// The request that begins a reading must not end it for the others that wait.
func TestReadingsOutliveTheRequestThatBeganThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &fakeReader{takes: time.Second}
		readings := newTestReadings(reader)
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		first := make(chan error, 1)
		go func() {
			_, err := readings.read(short, demo)
			first <- err
		}()
		synctest.Wait()
		_, err := readings.read(t.Context(), demo)
		require.NoError(t, err)
		require.ErrorIs(t, <-first, context.DeadlineExceeded)
		assert.Equal(t, 1, reader.reads)
	})
}

func TestReadingsEndBeforeTheAPIServerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		readings := newTestReadings(&fakeReader{takes: time.Hour})
		began := time.Now()
		_, err := readings.read(t.Context(), demo)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, readTimeout, time.Since(began))
	})
}

func TestReadingsReturnTheErrorsOfTheReader(t *testing.T) {
	readings := newTestReadings(&fakeReader{failure: fleet.ErrNoToken})
	_, err := readings.read(t.Context(), demo)
	require.ErrorIs(t, err, fleet.ErrNoToken)
}

// A fleet that was deleted and made again has the name of before and another token.
func TestReadingsTryAnotherTokenAtOnce(t *testing.T) {
	reader := &fakeReader{connections: 5, err: fleet.ErrTokenRefused}
	readings := newReadings(reader, func(cluster client.ObjectKey) {
		assert.Equal(t, demo, cluster)
		reader.err = nil
	}, logr.Discard())
	connections, err := readings.sum(t)
	require.NoError(t, err)
	assert.Equal(t, int64(5), connections)
	assert.Equal(t, 2, reader.reads)
}

func TestReadingsTryAnotherTokenOnce(t *testing.T) {
	reader := &fakeReader{err: fleet.ErrTokenRefused}
	_, err := newTestReadings(reader).sum(t)
	require.ErrorIs(t, err, fleet.ErrTokenRefused)
	assert.Equal(t, 2, reader.reads)
}

func TestReadingsForgetOldFleets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		readings := newTestReadings(&fakeReader{})
		for _, name := range []string{"a", "b", "c"} {
			_, err := readings.read(t.Context(), client.ObjectKey{Namespace: "team", Name: name})
			require.NoError(t, err)
			time.Sleep(20 * time.Second)
		}
		assert.Len(t, readings.latest, 2)
	})
}

package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os/exec"

	"golang.org/x/sync/errgroup"
)

// WorkerCommand returns a command that is not started yet and runs ServeWorker on its standard input and output.
type WorkerCommand func() *exec.Cmd

// workerSet holds the RPC clients of all workers of a run, and their processes.
type workerSet struct {
	clients   []*rpc.Client
	processes []*exec.Cmd
}

// serviceName is the name of the workers' service in net/rpc.
const serviceName = "Worker"

// ServeWorker serves the director's calls from in, answers on out, and returns when the director closes in. It
// returns an error when the worker's methods cannot be registered.
func ServeWorker(in io.ReadCloser, out io.WriteCloser) error {
	server := rpc.NewServer()
	if err := server.RegisterName(serviceName, &Worker{}); err != nil {
		return fmt.Errorf("serve worker: %w", err)
	}
	server.ServeConn(stdio{in, out})
	return nil
}

// stdio joins a process's standard input and output into one connection.
type stdio struct {
	io.ReadCloser
	out io.WriteCloser
}

func (s stdio) Write(b []byte) (int, error) { return s.out.Write(b) }

func (s stdio) Close() error { return errors.Join(s.ReadCloser.Close(), s.out.Close()) }

// spareFiles is the number of file descriptors that a process needs besides its clients' sockets.
const spareFiles = 256

// processCount returns the number of workers: --processes, or as many as the clients' file descriptors need.
func processCount(o *Options) int {
	if o.Processes > 0 {
		return o.Processes
	}
	files, known := openFiles()
	if !known || files <= 2*spareFiles {
		return 1
	}
	each := files - spareFiles
	return (newPlan(o, 1).total + each - 1) / each
}

// startWorkers starts the workers and assigns their clients: one worker in this process, several in processes of
// their own.
func startWorkers(o *Options, start WorkerCommand) (*workerSet, error) {
	set, n := &workerSet{}, processCount(o)
	for range n {
		conn, err := set.connectWorker(n, start)
		if err != nil {
			return nil, errors.Join(err, set.stop())
		}
		set.clients = append(set.clients, rpc.NewClient(conn))
	}
	err := set.callAll(func(i int, w *rpc.Client) error {
		return w.Call("Worker.Assign", Assignment{Options: *o, Index: i, Processes: n}, &None{})
	})
	if err != nil {
		return nil, errors.Join(err, set.stop())
	}
	return set, nil
}

func (f *workerSet) connectWorker(n int, start WorkerCommand) (io.ReadWriteCloser, error) {
	if n == 1 {
		here, there := net.Pipe()
		go func() {
			// ServeWorker fails only when the type Worker cannot be registered. The tests would notice that.
			_ = ServeWorker(there, there)
		}()
		return here, nil
	}
	cmd := start()
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start worker: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start worker: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start worker: %w", err)
	}
	f.processes = append(f.processes, cmd)
	return stdio{out, in}, nil
}

// callAll runs call for all workers at the same time, waits, and returns the first error.
func (f *workerSet) callAll(call func(i int, w *rpc.Client) error) error {
	var group errgroup.Group
	for i, w := range f.clients {
		group.Go(func() error {
			err := call(i, w)
			switch {
			case err == nil:
				return nil
			case errors.Is(err, rpc.ErrShutdown), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
				return fmt.Errorf("worker %d: its process is gone", i)
			}
			return fmt.Errorf("worker %d: %w", i, err)
		})
	}
	return group.Wait()
}

// stop closes the clients' connections and waits for the workers' processes to exit.
func (f *workerSet) stop() error {
	err := f.callAll(func(_ int, w *rpc.Client) error {
		return errors.Join(w.Call("Worker.Close", None{}, &None{}), w.Close())
	})
	for i, p := range f.processes {
		if ended := p.Wait(); ended != nil {
			err = errors.Join(err, fmt.Errorf("worker %d: %w", i, ended))
		}
	}
	return err
}

// callEach calls a method of all workers at the same time and returns their replies in the workers' order.
func callEach[A, R any](set *workerSet, method string, args func(i int) A) ([]R, error) {
	replies := make([]R, len(set.clients))
	err := set.callAll(func(i int, w *rpc.Client) error {
		return w.Call(serviceName+"."+method, args(i), &replies[i])
	})
	return replies, err
}

// sameArgs gives all workers the same arguments.
func sameArgs[A any](a A) func(int) A { return func(int) A { return a } }

// relayDeliveries tells the workers about deliveries that other workers received, until the context ends. A closed
// loop needs them to know when a publication is complete.
func (f *workerSet) relayDeliveries(ctx context.Context, p plan) error {
	if len(f.clients) == 1 {
		return nil
	}
	return f.callAll(func(_ int, w *rpc.Client) error {
		for ctx.Err() == nil {
			var got []deliveryCount
			if err := w.Call("Worker.RemoteDeliveries", None{}, &got); err != nil {
				return err
			}
			for owner, share := range groupByWorker(got, p) {
				if err := f.clients[owner].Call("Worker.AddDeliveries", share, &None{}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// groupByWorker groups deliveries by the worker that owns the publisher.
func groupByWorker(got []deliveryCount, p plan) map[int][]deliveryCount {
	owners := map[int][]deliveryCount{}
	for _, g := range got {
		owner := p.process(int(g.Publication.Publisher))
		owners[owner] = append(owners[owner], g)
	}
	return owners
}

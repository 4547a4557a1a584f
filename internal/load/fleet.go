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

// Start makes a command that runs ServeWorker on its standard input and output.
type Start func() *exec.Cmd

// fleet is the workers of a run.
type fleet struct {
	workers   []*rpc.Client
	processes []*exec.Cmd
}

// serviceName is the workers' in net/rpc.
const serviceName = "Worker"

// ServeWorker is a worker's process: it does what it is told until the director closes in.
func ServeWorker(in io.ReadCloser, out io.WriteCloser) error {
	server := rpc.NewServer()
	if err := server.RegisterName(serviceName, &Worker{}); err != nil {
		return fmt.Errorf("serve worker: %w", err)
	}
	server.ServeConn(stdio{in, out})
	return nil
}

// stdio is the two ends of a process as one connection.
type stdio struct {
	io.ReadCloser
	out io.WriteCloser
}

func (s stdio) Write(b []byte) (int, error) { return s.out.Write(b) }

func (s stdio) Close() error { return errors.Join(s.ReadCloser.Close(), s.out.Close()) }

// spareFiles are what a process needs besides its clients' sockets.
const spareFiles = 256

// processesFor is how many workers the clients need.
func processesFor(o *Options) int {
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

// newFleet starts the workers: one in this process, several in processes of their own.
func newFleet(o *Options, start Start) (*fleet, error) {
	f, n := &fleet{}, processesFor(o)
	for range n {
		conn, err := f.connect(n, start)
		if err != nil {
			return nil, errors.Join(err, f.end())
		}
		f.workers = append(f.workers, rpc.NewClient(conn))
	}
	err := f.each(func(i int, w *rpc.Client) error {
		return w.Call("Worker.Assign", Assignment{Options: *o, Index: i, Processes: n}, &None{})
	})
	if err != nil {
		return nil, errors.Join(err, f.end())
	}
	return f, nil
}

func (f *fleet) connect(n int, start Start) (io.ReadWriteCloser, error) {
	if n == 1 {
		here, there := net.Pipe()
		go func() {
			// Registering the same type cannot fail here and succeed elsewhere.
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

// each calls all workers at once.
func (f *fleet) each(call func(i int, w *rpc.Client) error) error {
	var group errgroup.Group
	for i, w := range f.workers {
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

// end closes the clients' connections and waits for the workers' processes.
func (f *fleet) end() error {
	err := f.each(func(_ int, w *rpc.Client) error {
		return errors.Join(w.Call("Worker.Close", None{}, &None{}), w.Close())
	})
	for i, p := range f.processes {
		if ended := p.Wait(); ended != nil {
			err = errors.Join(err, fmt.Errorf("worker %d: %w", i, ended))
		}
	}
	return err
}

// collect calls all workers at once and returns their answers.
func collect[A, R any](f *fleet, method string, args func(i int) A) ([]R, error) {
	replies := make([]R, len(f.workers))
	err := f.each(func(i int, w *rpc.Client) error {
		return w.Call(serviceName+"."+method, args(i), &replies[i])
	})
	return replies, err
}

func same[A any](a A) func(int) A { return func(int) A { return a } }

// carry brings deliveries to the workers that wait for them, until the context ends.
func (f *fleet) carry(ctx context.Context, p plan) error {
	if len(f.workers) == 1 {
		return nil
	}
	return f.each(func(_ int, w *rpc.Client) error {
		for ctx.Err() == nil {
			var got []gotten
			if err := w.Call("Worker.Away", None{}, &got); err != nil {
				return err
			}
			for owner, share := range byOwner(got, p) {
				if err := f.workers[owner].Call("Worker.Credit", share, &None{}); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func byOwner(got []gotten, p plan) map[int][]gotten {
	owners := map[int][]gotten{}
	for _, g := range got {
		owner := p.process(int(g.Publication.Publisher))
		owners[owner] = append(owners[owner], g)
	}
	return owners
}

// Package redistest runs real Redis servers for tests: one, one behind a sentinel, or a cluster, each
// on free ports of 127.0.0.1 and in a temporary directory, and stoppable, because losing Redis is
// half of what is tested.
package redistest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// timeout bounds how long a server may take to start or a topology to form.
const timeout = 20 * time.Second

// Server is one redis-server process.
type Server struct {
	t        testing.TB
	port     int
	dir      string
	args     []string
	password string

	mu  sync.Mutex
	cmd *exec.Cmd
	// exited is closed when the process has ended.
	exited chan struct{}
}

// Standalone starts one server; with a password, it wants that.
func Standalone(t testing.TB, password string) *Server {
	t.Helper()
	s := newServer(t, password)
	if password != "" {
		s.args = append(s.args, "--requirepass", password)
	}
	s.Start()
	return s
}

func newServer(t testing.TB, password string) *Server {
	t.Helper()
	port := FreePort(t)
	dir := t.TempDir()
	s := &Server{t: t, port: port, dir: dir, password: password, args: []string{"--port", strconv.Itoa(port), "--bind",
		"127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no", "--daemonize", "no", "--repl-diskless-sync-delay",
		"0",
	}}
	t.Cleanup(s.Stop)
	return s
}

// Addr is where the server listens.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Start starts the server, again if it was stopped, on the same port and with no more data than a test saved.
func (s *Server) Start() {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	out, exited := &bytes.Buffer{}, make(chan struct{})
	cmd := exec.CommandContext(context.Background(), program(s.t, "redis-server"), s.args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("start redis-server: %v", err)
	}
	s.cmd, s.exited = cmd, exited
	go func() {
		defer close(exited)
		_ = cmd.Wait()
	}()
	client := s.Client()
	defer func() { _ = client.Close() }()
	Await(s.t, "redis-server to answer", func(ctx context.Context) error {
		select {
		case <-exited:
			s.t.Fatalf("redis-server ended: %v\n%s", cmd.ProcessState, out)
		default:
		}
		info, err := client.Info(ctx, "server").Result()
		if err == nil && !strings.Contains(info, fmt.Sprintf("process_id:%d\r\n", cmd.Process.Pid)) {
			return errors.New("another redis-server answers on its port")
		}
		return err
	})
}

// Stop kills the server as a crash would, if it runs.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.exited
	s.cmd = nil
}

// Pause stops the process without ending it: connections stay open, and nothing answers. Resume
// lets it go on.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume undoes Pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatalf("%v to redis-server: %v", sig, err)
	}
}

// Client returns a client for a test's own commands.
func (s *Server) Client() *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr:          s.Addr(),
		Password:      s.password,
		DialTimeout:   time.Second,
		DialerRetries: 1,
		MaxRetries:    -1,
	})
}

// LoseStream deletes the stream of a channel and its position, under every prefix, as a Redis does that has lost its
// data. It returns an error when the server does not answer, and when it does not have exactly one such stream.
func (s *Server) LoseStream(ctx context.Context, channel string) error {
	client := s.Client()
	defer func() { _ = client.Close() }()
	lost := 0
	keys := client.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		if key := keys.Val(); strings.HasSuffix(key, "s:"+channel) || strings.HasSuffix(key, "t:"+channel) {
			if err := client.Del(ctx, key).Err(); err != nil {
				return fmt.Errorf("lose the stream of %s: %w", channel, err)
			}
			lost++
		}
	}
	if err := keys.Err(); err != nil {
		return fmt.Errorf("lose the stream of %s: %w", channel, err)
	}
	if lost != 2 {
		return fmt.Errorf("%s has %d keys of a stream, not 2", channel, lost)
	}
	return nil
}

// Sentinel is a master, its replica and the sentinel that watches them.
type Sentinel struct {
	MasterName string
	Addresses  []string
	Master     *Server
	Replica    *Server
}

// WithSentinel starts a master, a replica and a sentinel, and waits until they know each other.
func WithSentinel(t testing.TB) *Sentinel {
	t.Helper()
	const name = "main"
	master := Standalone(t, "")
	replica := newServer(t, "")
	replica.args = append(replica.args, "--replicaof", "127.0.0.1 "+strconv.Itoa(master.port))
	replica.Start()

	watcher := newServer(t, "")
	config := filepath.Join(watcher.dir, "sentinel.conf")
	write(t, config,
		fmt.Sprintf(
			"port %d\nbind 127.0.0.1\ndir %s\nsentinel monitor %s 127.0.0.1 %d 1\n"+
				"sentinel down-after-milliseconds %s 500\nsentinel failover-timeout %s 2000\n",
			watcher.port, watcher.dir, name, master.port, name, name))
	watcher.args = []string{config, "--sentinel"}
	watcher.Start()

	client := redis.NewSentinelClient(&redis.Options{Addr: watcher.Addr()})
	defer func() { _ = client.Close() }()
	Await(t, "the sentinel to know the replica", func(ctx context.Context) error {
		replicas, err := client.Replicas(ctx, name).Result()
		if err != nil {
			return err
		}
		if len(replicas) != 1 || replicas[0]["master-link-status"] != "ok" {
			return fmt.Errorf("%d replicas", len(replicas))
		}
		return nil
	})
	return &Sentinel{MasterName: name, Addresses: []string{watcher.Addr()}, Master: master, Replica: replica}
}

// Replicated waits until the replica has all that the master has taken so far.
func (s *Sentinel) Replicated(t testing.TB) {
	t.Helper()
	master := s.Master.Client()
	defer func() { _ = master.Close() }()
	replica := s.Replica.Client()
	defer func() { _ = replica.Close() }()
	Await(t, "the replica to have it all", func(ctx context.Context) error {
		ahead, err := offset(ctx, master)
		if err != nil {
			return err
		}
		behind, err := offset(ctx, replica)
		if err == nil && behind < ahead {
			return fmt.Errorf("it is at %d of %d", behind, ahead)
		}
		return err
	})
}

// offset is how far a server has come in what is replicated.
func offset(ctx context.Context, client *redis.Client) (int, error) {
	info, err := client.Info(ctx, "replication").Result()
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(info) {
		// Of a replica that has no link this is not there, or not the master's.
		if value, found := strings.CutPrefix(line,
			"master_repl_offset:"); found && !strings.Contains(info, "master_link_status:down") {
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, errors.New("it is not replicated")
}

// FailBehind kills the master when it has taken something that its replica never gets: what it takes
// during a function.
func (s *Sentinel) FailBehind(t testing.TB, during func()) {
	t.Helper()
	client := s.Master.Client()
	defer func() { _ = client.Close() }()
	s.Replica.Pause()
	defer s.Replica.Resume()
	// It reads what was sent to it before when it goes on, and cannot come back meanwhile.
	if err := client.Do(t.Context(), "client", "kill", "type", "replica").Err(); err != nil {
		t.Fatalf("cut the replica off: %v", err)
	}
	during()
	s.Master.Stop()
}

// Cluster is three masters without replicas.
type Cluster struct {
	Nodes []*Server
}

// Addresses are the nodes'.
func (c *Cluster) Addresses() []string {
	out := make([]string, 0, len(c.Nodes))
	for _, n := range c.Nodes {
		out = append(out, n.Addr())
	}
	return out
}

// WithCluster starts a cluster and waits until every node says that it works.
func WithCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	for range 3 {
		s := newServer(t, "")
		s.args = append(s.args, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(FreePort(t)),
			"--cluster-node-timeout", "2000")
		s.Start()
		c.Nodes = append(c.Nodes, s)
	}
	args := append([]string{"--cluster", "create"}, c.Addresses()...)
	create := exec.CommandContext(t.Context(), program(t, "redis-cli"), append(args, "--cluster-yes")...)
	if out, err := create.CombinedOutput(); err != nil {
		t.Fatalf("redis-cli --cluster create: %v\n%s", err, out)
	}
	for _, n := range c.Nodes {
		client := n.Client()
		Await(t, "the cluster to work", func(ctx context.Context) error {
			info, err := client.ClusterInfo(ctx).Result()
			if err == nil && !strings.Contains(info, "cluster_state:ok") {
				return fmt.Errorf("%s", info)
			}
			return err
		})
		_ = client.Close()
	}
	return c
}

// Move gives the slot of a name to the next node, as a resharding does.
func (c *Cluster) Move(t testing.TB, name string) {
	t.Helper()
	c.MoveDuring(t, name, func() {})
}

// MoveDuring is Move, with something that happens when one of the slot's keys is with the next node, and
// the others are not.
func (c *Cluster) MoveDuring(t testing.TB, name string, during func()) {
	t.Helper()
	ctx := t.Context()
	clients := make([]*redis.Client, 0, len(c.Nodes))
	ids := make([]string, 0, len(c.Nodes))
	owner := -1
	for i, n := range c.Nodes {
		client := n.Client()
		defer func() { _ = client.Close() }()
		id, err := client.Do(ctx, "cluster", "myid").Text()
		if err != nil {
			t.Fatalf("ask for the node's id: %v", err)
		}
		clients, ids = append(clients, client), append(ids, id)
		// A node that does not have the slot answers MOVED.
		if client.Exists(ctx, name).Err() == nil {
			owner = i
		}
	}
	if owner < 0 {
		t.Fatalf("no node owns the slot of %q", name)
	}
	slot, err := clients[0].ClusterKeySlot(ctx, name).Result()
	if err != nil {
		t.Fatalf("ask for the slot: %v", err)
	}
	target := (owner + 1) % len(ids)
	// A target that was importing takes a newer epoch, with which it wins over gossip that is still
	// under way from the old owner.
	steps := []struct {
		node int
		args []any
	}{
		{target, []any{"importing", ids[owner]}},
		{owner, []any{"migrating", ids[target]}},
		{target, []any{"node", ids[target]}},
		{owner, []any{"node", ids[target]}},
		{(owner + 2) % len(ids), []any{"node", ids[target]}},
	}
	for i, step := range steps {
		if i == 2 {
			carry(t, clients[owner], slot, c.Nodes[target], 1)
			during()
			for carry(t, clients[owner], slot, c.Nodes[target], 100) > 0 {
			}
		}
		if err := clients[step.node].Do(ctx, append([]any{"cluster", "setslot", slot}, step.args...)...).Err(); err != nil {
			t.Fatalf("move slot %d: %v %v", slot, step.args, err)
		}
	}
	// Two nodes that take a new epoch before they heard of each other's take the same one, and may
	// then point at each other for ever: the next move waits until all know of this one.
	Await(t, "the nodes to agree on the layout", func(ctx context.Context) error { return agree(ctx, clients) })
}

// carry takes so many of a slot's keys to another node: a slot that has any does not move. It returns
// how many there were.
func carry(t testing.TB, from *redis.Client, slot int64, to *Server, most int) int {
	t.Helper()
	keys, err := from.ClusterGetKeysInSlot(t.Context(), int(slot), most).Result()
	if err != nil {
		t.Fatalf("ask for the keys of slot %d: %v", slot, err)
	}
	if len(keys) == 0 {
		return 0
	}
	args := []any{"migrate", "127.0.0.1", to.port, "", 0, timeout.Milliseconds(), "keys"}
	for _, key := range keys {
		args = append(args, key)
	}
	if err := from.Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("move %d keys: %v", len(keys), err)
	}
	return len(keys)
}

// agree is nil when all nodes know the same epochs and slots, and no two nodes have the same epoch.
func agree(ctx context.Context, nodes []*redis.Client) error {
	var first []string
	for i, node := range nodes {
		text, err := node.ClusterNodes(ctx).Result()
		if err != nil {
			return err
		}
		var layout []string
		epochs := map[string]bool{}
		for line := range strings.Lines(text) {
			// id, address, flags, master, ping, pong, epoch, link, slots
			fields := strings.Fields(line)
			if len(fields) < 8 {
				return fmt.Errorf("node line %q", line)
			}
			epochs[fields[6]] = true
			slots := slices.DeleteFunc(fields[8:], func(s string) bool { return strings.HasPrefix(s, "[") })
			layout = append(layout, fields[0]+" "+fields[6]+" "+strings.Join(slots, " "))
		}
		slices.Sort(layout)
		if i == 0 {
			first = layout
		}
		if len(epochs) != len(layout) || !slices.Equal(first, layout) {
			return fmt.Errorf("node %d sees %v, node 0 sees %v", i, layout, first)
		}
	}
	return nil
}

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// State is the overall state of a cluster.
type State string

const (
	// StateRunning means that the cluster runs pods and resolves names.
	StateRunning State = "running"
	// StateDegraded means that a part of the cluster does not work. `up` repairs it.
	StateDegraded State = "degraded"
	// StateStopped means that no process of the cluster runs.
	StateStopped State = "stopped"
)

// Status is the state of a cluster and its parts.
type Status struct {
	Name       string            `json:"name"`
	State      State             `json:"state"`
	Server     string            `json:"server,omitempty"`
	Kubeconfig string            `json:"kubeconfig,omitempty"`
	Netns      string            `json:"netns,omitempty"`
	ProxyMode  ProxyMode         `json:"proxyMode,omitempty"`
	Nodes      []NodeStatus      `json:"nodes"`
	Components []ComponentStatus `json:"components"`
	Conditions []Condition       `json:"conditions"`
	Forwards   []ForwardStatus   `json:"forwards"`
}

// ComponentStatus is one process of the cluster.
type ComponentStatus struct {
	Name    string `json:"name"`
	Running bool   `json:"running"`
	PID     int    `json:"pid,omitempty"`
	Log     string `json:"log"`
}

// NodeStatus is one node, and whether Kubernetes can use it.
type NodeStatus struct {
	Name    string `json:"name"`
	Address string `json:"address"`
	Netns   string `json:"netns"`
	Ready   bool   `json:"ready"`
	Message string `json:"message,omitempty"`
}

// Condition is a requirement of a running cluster, and whether it is met.
type Condition struct {
	Name    string `json:"name"`
	Met     bool   `json:"met"`
	Message string `json:"message,omitempty"`
}

// ForwardStatus is a recorded forward and whether it runs.
type ForwardStatus struct {
	Forward
	Running bool `json:"running"`
}

// statusTimeout bounds the requests to an API server that may not answer.
const statusTimeout = 5 * time.Second

// CheckRunning returns an error that says how to start the cluster when it does not run.
func (c *Cluster) CheckRunning() error {
	if !c.records().Read(holderName).Alive() {
		return fmt.Errorf("cluster %s is not running; run `localcluster up --name %s`", c.Name, c.Name)
	}
	return nil
}

// Status reads the state of the cluster. It changes nothing.
func (c *Cluster) Status(ctx context.Context) Status {
	s := Status{
		Name:       c.Name,
		Nodes:      []NodeStatus{},
		Components: []ComponentStatus{},
		Conditions: []Condition{},
		Forwards:   []ForwardStatus{},
	}
	running := 0
	for _, name := range c.ComponentNames() {
		id := c.records().Read(name)
		one := ComponentStatus{Name: name, Log: c.LogFile(name)}
		if id.Alive() {
			one.Running, one.PID = true, id.PID
			running++
		}
		s.Components = append(s.Components, one)
	}
	for _, f := range c.Forwards() {
		s.Forwards = append(s.Forwards, ForwardStatus{f, c.records().Read(forwardName(f.Listen)).Alive()})
	}
	if running == 0 {
		s.State = StateStopped
		return s
	}
	s.Netns, s.ProxyMode = c.Netns(), c.proxyMode()
	if address, err := os.ReadFile(c.apiAddressFile()); err == nil {
		s.Server, s.Kubeconfig = "https://"+string(address), c.Kubeconfig()
		s.Nodes, s.Conditions = c.inspect(ctx)
	}
	s.State = stateOf(s)
	return s
}

// stateOf returns the overall state.
func stateOf(s Status) State {
	for _, component := range s.Components {
		if !component.Running {
			return StateDegraded
		}
	}
	for _, f := range s.Forwards {
		if !f.Running {
			return StateDegraded
		}
	}
	if len(s.Conditions) == 0 {
		return StateDegraded
	}
	for _, n := range s.Nodes {
		if !n.Ready {
			return StateDegraded
		}
	}
	for _, condition := range s.Conditions {
		if !condition.Met {
			return StateDegraded
		}
	}
	return StateRunning
}

// inspect gets the nodes and CoreDNS from the API server in one request.
func (c *Cluster) inspect(ctx context.Context) ([]NodeStatus, []Condition) {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	args := make([]string, 0, 6+maxNodes)
	args = append(args, "get", "--output=json", "--request-timeout=3s", "--ignore-not-found", "--namespace=kube-system",
		"deployment/coredns")
	for _, n := range c.nodes() {
		args = append(args, "node/"+n.name())
	}
	out, err := c.kubectl(ctx, nil, args...)
	api := Condition{Name: "API server answers", Met: err == nil}
	if err != nil {
		api.Message = firstLine(err.Error())
		return []NodeStatus{}, []Condition{api}
	}
	dns := Condition{Name: "DNS answers", Met: true}
	if err := c.askDNS(ctx); err != nil {
		dns.Met, dns.Message = false, firstLine(err.Error())
	}
	objects := parseObjects(out)
	coreDNS := Condition{Name: "CoreDNS Available"}
	coreDNS.Met, coreDNS.Message = objects.condition("Deployment", "coredns", "Available")
	return readNodes(c.nodes(), objects), []Condition{api, coreDNS, dns}
}

// objects are Kubernetes objects with their conditions.
type objects []struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Name string `json:"name"`
	} `json:"metadata"`
	Status struct {
		Conditions []struct{ Type, Status, Message string } `json:"conditions"`
	} `json:"status"`
}

// parseObjects returns the objects of a list, and none when it cannot be read.
func parseObjects(list []byte) objects {
	var parsed struct {
		Items objects `json:"items"`
	}
	if json.Unmarshal(list, &parsed) != nil {
		return nil
	}
	return parsed.Items
}

// condition returns whether a condition of an object is met, and a message otherwise.
func (all objects) condition(kind, name, condition string) (met bool, message string) {
	for _, object := range all {
		if object.Kind != kind || object.Metadata.Name != name {
			continue
		}
		for _, found := range object.Status.Conditions {
			if found.Type == condition {
				return found.Status == "True", found.Message
			}
		}
	}
	return false, fmt.Sprintf("the API server has no %s %s with the condition %s", strings.ToLower(kind), name, condition)
}

// readNodes returns the state of nodes.
func readNodes(nodes []node, objects objects) []NodeStatus {
	all := make([]NodeStatus, 0, len(nodes))
	for _, n := range nodes {
		s := NodeStatus{Name: n.name(), Address: n.ip(), Netns: n.netns()}
		if s.Ready, s.Message = objects.condition("Node", n.name(), "Ready"); s.Ready {
			s.Message = ""
		}
		all = append(all, s)
	}
	return all
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

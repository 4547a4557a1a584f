package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
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
	s := Status{Name: c.Name, Components: []ComponentStatus{}, Conditions: []Condition{}, Forwards: []ForwardStatus{}}
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
		s.Conditions = c.conditions(ctx)
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
	for _, condition := range s.Conditions {
		if !condition.Met {
			return StateDegraded
		}
	}
	return StateRunning
}

// conditions gets the node and CoreDNS from the API server in one request.
func (c *Cluster) conditions(ctx context.Context) []Condition {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	out, err := c.kubectl(ctx, nil, "get", "--output=json", "--request-timeout=3s", "--ignore-not-found",
		"--namespace=kube-system", "node/"+c.Name, "deployment/coredns")
	api := Condition{Name: "API server answers", Met: err == nil}
	if err != nil {
		api.Message = firstLine(err.Error())
		return []Condition{api}
	}
	dns := Condition{Name: "DNS answers", Met: true}
	if err := c.askDNS(ctx); err != nil {
		dns.Met, dns.Message = false, firstLine(err.Error())
	}
	return slices.Concat([]Condition{api}, readConditions(out), []Condition{dns})
}

// readConditions reads from a list of objects whether the node is ready and CoreDNS is available.
func readConditions(list []byte) []Condition {
	node := Condition{Name: "node Ready", Message: "the node is not registered"}
	dns := Condition{Name: "CoreDNS Available", Message: "CoreDNS is not deployed"}
	var objects struct {
		Items []struct {
			Kind   string `json:"kind"`
			Status struct {
				Conditions []struct{ Type, Status, Message string } `json:"conditions"`
			} `json:"status"`
		} `json:"items"`
	}
	if err := json.Unmarshal(list, &objects); err != nil {
		node.Message, dns.Message = err.Error(), err.Error()
		return []Condition{node, dns}
	}
	wanted := map[string]*Condition{"Node/Ready": &node, "Deployment/Available": &dns}
	for _, object := range objects.Items {
		for _, condition := range object.Status.Conditions {
			if found := wanted[object.Kind+"/"+condition.Type]; found != nil {
				found.Met, found.Message = condition.Status == "True", condition.Message
			}
		}
	}
	return []Condition{node, dns}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

//go:build e2e

package main_test

import (
	"slices"
	"testing"
)

// testTwoNodes adds a second node to the cluster, lets it die and starts it again.
func (m *machine) testTwoNodes(t *testing.T) {
	second := m.name + "-2"
	t.Run("a second node joins", func(t *testing.T) {
		m := m.on(t)
		m.localcluster("up", "--name", m.name, "--nodes", "2")
		m.expectNodes(m.name, second)
		m.loadProbe()
		onSecond := `{"spec": {"nodeName": "` + second + `"}}`
		m.kubectl("run", "far", "--image=wsfleet/probe:test", "--overrides="+onSecond, "--", "serve")
		m.kubectl("wait", "--for=condition=Ready", "pod/far", "--timeout=60s")
		contains(t, m.kubectl("logs", "far"), "serving as far")
		contains(t, m.inClient(0, "get", "http://"+m.farIP()+":8080/"), "far "+m.podIP(0))
		contains(t, m.kubectl("exec", "far", "--", "/probe", "get", "http://"+m.podIP(0)+":8080/"), "client-0 "+m.farIP())
		contains(t, m.kubectl("exec", "far", "--", "/probe", "get", "http://spread.default.svc/"), "web-")
		at := m.localcluster("forward", "--name", m.name, "--background", "--to", m.farIP()+":8080")
		contains(t, m.get("http://"+at), "far")
	})
	t.Run("a node dies, and starts again", func(t *testing.T) {
		m := m.on(t)
		m.localcluster("kill-node", "--name", m.name, second)
		m.kubectl("wait", "--for=condition=Ready=Unknown", "node/"+second, "--timeout=20s")
		m.kubectl("wait", "--for=condition=Ready=False", "pod/far", "--timeout=20s")
		if state := m.status().State; state != "degraded" {
			t.Errorf("the cluster is %s, expected degraded", state)
		}
		m.localcluster("start-node", "--name", m.name, second)
		m.kubectl("wait", "--for=condition=Ready", "pod/far", "--timeout=60s")
		contains(t, m.inClient(0, "get", "http://"+m.farIP()+":8080/"), "far")
		contains(t, m.localcluster("up", "--name", m.name), "already running")
	})
}

func (m *machine) farIP() string {
	m.t.Helper()
	return m.kubectl("get", "pod", "far", "-o", "jsonpath={.status.podIP}")
}

// expectNodes fails the test unless the cluster has these nodes, and all are ready.
func (m *machine) expectNodes(want ...string) {
	m.t.Helper()
	var ready []string
	for _, n := range m.status().Nodes {
		if n.Ready {
			ready = append(ready, n.Name)
		}
	}
	if !slices.Equal(ready, want) {
		m.t.Errorf("the nodes %v are ready, expected %v", ready, want)
	}
}

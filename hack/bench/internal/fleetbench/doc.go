// Package fleetbench measures the operator for `make bench-operator`: a real kube-apiserver and etcd, the operator as a
// process of its own with its own role, and a simulation of the Deployment controller, of the kubelet and of gateways.
package fleetbench

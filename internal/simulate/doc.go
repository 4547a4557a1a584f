// Package simulate predicts what a rollout, a scale-in or a loss does to the clients of a fleet. `wsfleet simulate`
// calls it with a scenario and prints the result.
//
// It is a discrete-event simulation in virtual time. The operator's decisions are the real ones: the loop in
// operator.go calls package controllers/plan with what the operator would observe, and gateways that drain close
// connections by gateway/drain.Pace. Kubernetes (deployment.go, pod.go), load balancers and gateways (gateway.go,
// balance.go) and clients (layer.go, cohort.go) are models. Clients are counted in cohorts, so that memory and time
// depend on the number of gateways and on the time simulated, and hardly on the number of clients.
//
// The package uses no clock of the machine and no other source of randomness than the scenario's seed.
package simulate

package controllers

import (
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// errNotNew means that a cluster without a status has objects already, so that the reconcile has to start over and look
// each of them up.
var errNotNew = errors.New("the object exists already")

// newClusters tells which clusters are taken for new: nothing of them exists, so their objects are created without a
// lookup before. The precondition of the creation finds out when that was wrong. Its methods may be called by several
// goroutines at once.
type newClusters struct {
	// mu guards excluded.
	mu sync.Mutex
	// excluded are clusters without a status of which an object was found or created.
	excluded map[client.ObjectKey]types.UID
}

func newNewClusters() *newClusters {
	return &newClusters{excluded: map[client.ObjectKey]types.UID{}}
}

// has reports whether the cluster is taken for new.
func (n *newClusters) has(cluster *v1alpha1.WebSocketCluster) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if cluster.Status.ObservedGeneration > 0 {
		delete(n.excluded, client.ObjectKeyFromObject(cluster))
		return false
	}
	return n.excluded[client.ObjectKeyFromObject(cluster)] != cluster.UID
}

// exclude notes that an object of the cluster was found or created.
func (n *newClusters) exclude(cluster *v1alpha1.WebSocketCluster) {
	if cluster.Status.ObservedGeneration > 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.excluded[client.ObjectKeyFromObject(cluster)] = cluster.UID
}

// forget drops a cluster that was deleted.
func (n *newClusters) forget(cluster client.ObjectKey) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.excluded, cluster)
}

package controllers

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// fakeReviews answers access reviews.
type fakeReviews struct {
	// mu guards the fields below.
	mu      sync.Mutex
	allowed []string
	err     error
	// asked counts the reviews.
	asked int
}

func (f *fakeReviews) allow(namespaces []string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.allowed, f.err = namespaces, err
}

func (f *fakeReviews) reviews() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *fakeReviews) react(action clienttesting.Action) (bool, runtime.Object, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.err != nil {
		return true, nil, f.err
	}
	create, _ := action.(clienttesting.CreateAction)
	review, _ := create.GetObject().(*authorizationv1.SelfSubjectAccessReview)
	review.Status.Allowed = slices.Contains(f.allowed, review.Spec.ResourceAttributes.Namespace)
	return true, review, nil
}

// newAccess returns the access to the namespaces a and b by fake reviews.
func newAccess(allowed ...string) (*NamespaceAccess, *fakeReviews) {
	reviews := &fakeReviews{allowed: allowed}
	server := fake.NewClientset()
	server.PrependReactor("create", "selfsubjectaccessreviews", reviews.react)
	return &NamespaceAccess{
		reviews:  server.AuthorizationV1().SelfSubjectAccessReviews(),
		named:    []string{"a", "b"},
		interval: time.Millisecond,
		log:      logr.Discard(),
	}, reviews
}

func TestNamespaceAccessLeavesOutWhatMayNotBeRead(t *testing.T) {
	a, _ := newAccess("b")
	require.NoError(t, a.begin(t.Context()))
	assert.Equal(t, []string{"b"}, a.Usable())
	assert.Equal(t, []string{"a"}, a.missing())

	a, _ = newAccess()
	require.ErrorContains(t, a.begin(t.Context()), "none of the namespaces a, b: create them and apply "+
		"config/namespaced/fleets to each, or name others in --watch-namespaces")
}

// While there is no API server, nothing is known, and the operator waits for all of its namespaces.
func TestNamespaceAccessAssumesAllWithoutAnAnswer(t *testing.T) {
	a, reviews := newAccess()
	reviews.allow(nil, errors.New("away"))
	require.NoError(t, a.begin(t.Context()))
	assert.Equal(t, []string{"a", "b"}, a.Usable())
}

// A cache cannot take in a namespace, nor let go of one. The operator ends, to be started again, but not for an answer
// that does not last.
func TestNamespaceAccessEndsWhenItChanges(t *testing.T) {
	for name, now := range map[string][]string{"a namespace more": {"a", "b"}, "other namespaces": {"b"}, "none": nil} {
		t.Run(name, func(t *testing.T) {
			a, reviews := newAccess("a")
			require.NoError(t, a.begin(t.Context()))
			ended := make(chan error, 1)
			go func() { ended <- a.Start(t.Context()) }()
			reviews.allow(nil, errors.New("away"))
			before := reviews.reviews()
			require.Eventually(t, func() bool { return reviews.reviews() > before+2 }, time.Minute, time.Millisecond)
			assert.Empty(t, ended)
			reviews.allow(now, nil)
			require.ErrorContains(t, <-ended, "to be started again with these")
		})
	}
}

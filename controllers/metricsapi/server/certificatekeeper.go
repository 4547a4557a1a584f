package server

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wsfleet/wsfleet/controllers/metricsapi"
)

// SecretName is the name of the Secret with the certificate, in the metrics API's namespace.
const SecretName = metricsapi.Name + "-tls"

// retryAfter is how soon the keeper looks again at a Secret that another client is about to write.
const retryAfter = time.Second

// certificateKeeper keeps the certificate of all replicas in one Secret, and gives it to the server. It implements
// reconcile.Reconciler for that Secret, and dynamiccertificates.CertKeyContentProvider.
type certificateKeeper struct {
	client    client.Client
	namespace string
	// name is the DNS name that the API server calls the Service by.
	name string
	// manage makes the keeper write the Secret. Without it, another program does, such as cert-manager.
	manage  bool
	metrics *serverMetrics

	// available is closed when there is a certificate for the first time.
	available chan struct{}

	// mu guards the fields below.
	mu               sync.Mutex
	certificate, key []byte
	listeners        []dynamiccertificates.Listener
}

func newCertificateKeeper(c client.Client, namespace string, manage bool, metrics *serverMetrics) *certificateKeeper {
	return &certificateKeeper{
		client:    c,
		namespace: namespace,
		name:      metricsapi.Name + "." + namespace + ".svc",
		manage:    manage,
		metrics:   metrics,
		available: make(chan struct{}),
	}
}

// Reconcile renews what is due in the Secret, and serves its certificate from now on. It returns an error when the
// Secret cannot be read or written. A Secret of another program that cannot be used is logged; the last certificate
// that could be used stays.
func (k *certificateKeeper) Reconcile(ctx context.Context, _ reconcile.Request) (ctrl.Result, error) {
	secret := &corev1.Secret{}
	err := k.client.Get(ctx, client.ObjectKey{Namespace: k.namespace, Name: SecretName}, secret)
	if client.IgnoreNotFound(err) != nil {
		return ctrl.Result{}, fmt.Errorf("read Secret %s: %w", SecretName, err)
	}
	if !k.manage {
		return ctrl.Result{}, k.use(secret.Data)
	}
	renewed, due, err := renew(secret.Data, k.name, time.Now())
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("renew the certificate: %w", err)
	}
	err = k.write(ctx, secret, renewed)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		// Another replica was first. What it wrote is used.
		return ctrl.Result{RequeueAfter: retryAfter}, nil
	}
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("write Secret %s: %w", SecretName, err)
	}
	return ctrl.Result{RequeueAfter: time.Until(due)}, k.use(renewed)
}

// write stores data in secret, unless it is there already. It returns the API server's error, which is a conflict when
// another client has written meanwhile.
func (k *certificateKeeper) write(ctx context.Context, secret *corev1.Secret, data map[string][]byte) error {
	if sameData(secret.Data, data) {
		return nil
	}
	log.FromContext(ctx).Info("Renewing the certificate", "secret", SecretName)
	if secret.ResourceVersion == "" {
		return k.client.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: k.namespace,
				Name:      SecretName,
				Labels:    metricsapi.APIServiceLabels(),
			},
			Type: corev1.SecretTypeTLS,
			Data: data,
		})
	}
	updated := secret.DeepCopy()
	updated.Data = data
	return k.client.Update(ctx, updated)
}

// use serves the certificate of a Secret's data from now on. It returns an error that names the Secret and the key when
// there is none that can be used.
func (k *certificateKeeper) use(data map[string][]byte) error {
	_, serving, err := verify(data, k.name, time.Now())
	if err != nil {
		return fmt.Errorf("the certificate in Secret %s cannot be used for %s: %w", SecretName, k.name, err)
	}
	k.metrics.certificateExpiry.Set(float64(serving.certificate.NotAfter.Unix()))
	k.mu.Lock()
	defer k.mu.Unlock()
	if string(k.certificate) == string(data[keyCertificate]) {
		return nil
	}
	if k.certificate == nil {
		close(k.available)
	}
	k.certificate, k.key = data[keyCertificate], data[keyPrivate]
	for _, listener := range k.listeners {
		listener.Enqueue()
	}
	return nil
}

// Name implements dynamiccertificates.CertKeyContentProvider.
func (k *certificateKeeper) Name() string { return "secret " + SecretName }

// CurrentCertKeyContent implements dynamiccertificates.CertKeyContentProvider.
func (k *certificateKeeper) CurrentCertKeyContent() (certificate, key []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.certificate, k.key
}

// AddListener implements dynamiccertificates.Notifier.
func (k *certificateKeeper) AddListener(listener dynamiccertificates.Listener) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.listeners = append(k.listeners, listener)
}

// sameData reports whether two Secrets have the same content.
func sameData(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }

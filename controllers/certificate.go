package controllers

import (
	"context"
	"crypto/tls"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/status"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// checkCertificate adds to result what is wrong with the Secret of the gateways' certificate. The content is no part of
// the credentials' hash, because gateways reload it. It returns an error when the read fails.
func (r *Reconciler) checkCertificate(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, result *credentials,
) error {
	spec := cluster.Spec.Gateway.TLS
	if spec == nil {
		return nil
	}
	secret, err := r.secrets.read(ctx, client.ObjectKey{Namespace: cluster.Namespace, Name: spec.SecretName})
	if err != nil {
		return err
	}
	if problem := certificateProblem(secret); problem != nil {
		result.problems = append(result.problems, *problem)
	}
	return nil
}

// certificateProblem returns what is wrong with the Secret of the gateways' certificate, or nil. A new gateway would
// not start with it. A nil secret means that it does not exist.
func certificateProblem(secret *corev1.Secret) *status.Problem {
	const field = "spec.gateway.tls.secretName"
	problem := status.Problem{BlocksGateways: true}
	switch {
	case secret == nil:
		problem.Reason = v1alpha1.ReasonSecretNotFound
		problem.Message = field + " names a Secret that does not exist: create it in this namespace " +
			"with the keys tls.crt and tls.key (kubectl create secret tls)"
	case len(secret.Data[contract.TLSCertKey]) == 0:
		problem.Reason = v1alpha1.ReasonSecretKeyMissing
		problem.Message = field + " names a Secret without the key tls.crt, or with an empty one: add it to the Secret"
	case len(secret.Data[contract.TLSPrivateKey]) == 0:
		problem.Reason = v1alpha1.ReasonSecretKeyMissing
		problem.Message = field + " names a Secret without the key tls.key, or with an empty one: add it to the Secret"
	default:
		_, err := tls.X509KeyPair(secret.Data[contract.TLSCertKey], secret.Data[contract.TLSPrivateKey])
		if err == nil {
			return nil
		}
		problem.Reason = v1alpha1.ReasonCertificateInvalid
		problem.Message = field + " names a Secret whose tls.crt and tls.key are no certificate in PEM with its private " +
			"key: put a certificate and the key that belongs to it there"
	}
	return &problem
}

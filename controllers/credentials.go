package controllers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// credentials are the generated Secrets' values, what gateways read of the named ones, and what is
// wrong with those.
type credentials struct {
	generated render.Secrets
	hash      string
	problems  []status.Problem
}

// credentials reads every Secret that the fleet uses. What exists is kept; what does not is made up
// here and becomes real with the next apply.
func (r *Reconciler) credentials(ctx context.Context, cluster *v1alpha1.WebSocketCluster) (credentials, error) {
	admin, err := r.ownSecret(ctx, cluster, render.AdminSecretName(cluster.Name))
	if err != nil {
		return credentials{}, err
	}
	result := credentials{generated: render.Secrets{
		AdminToken: keepOrGenerate(admin, contract.AdminTokenKey),
		Salt:       keepOrGenerate(admin, render.KeySalt),
	}}

	var used []string
	redis := cluster.Spec.Redis
	switch {
	case redis.Managed != nil:
		own, err := r.ownSecret(ctx, cluster, render.RedisName(cluster.Name))
		if err != nil {
			return credentials{}, err
		}
		result.generated.RedisPassword = keepOrGenerate(own, render.KeyRedisPassword)
		used = append(used, result.generated.RedisPassword)
	case redis.External != nil && redis.External.CredentialsSecretRef != nil:
		secret, err := r.secrets.read(ctx, client.ObjectKey{Namespace: cluster.Namespace, Name: redis.External.CredentialsSecretRef.Name})
		if err != nil {
			return credentials{}, err
		}
		if problem := redisCredentialsProblem(secret); problem != nil {
			result.problems = append(result.problems, *problem)
			break
		}
		used = append(used, string(secret.Data[render.KeyRedisUsername]), string(secret.Data[render.KeyRedisPassword]))
	}

	for _, value := range render.SecretValues(cluster.Spec) {
		secret, err := r.secrets.read(ctx, client.ObjectKey{Namespace: cluster.Namespace, Name: value.Secret})
		if err != nil {
			return credentials{}, err
		}
		if problem := secretValueProblem(secret, value); problem != nil {
			result.problems = append(result.problems, *problem)
			continue
		}
		used = append(used, string(secret.Data[value.Key]))
	}
	if len(used) > 0 {
		result.hash = render.HashSecret(result.generated.Salt, used...)
	}
	return result, nil
}

// ownSecret is nil where there is none, or it is somebody else's.
func (r *Reconciler) ownSecret(ctx context.Context, cluster *v1alpha1.WebSocketCluster, name string) (*corev1.Secret, error) {
	secret, err := r.secrets.readCertain(ctx, client.ObjectKey{Namespace: cluster.Namespace, Name: name})
	if err != nil || secret == nil || !isOurs(secret, cluster) {
		return nil, err
	}
	return secret, nil
}

// forgetSecrets drops the Secrets of a cluster that is gone: nothing else would ever look them up.
func (r *Reconciler) forgetSecrets(cluster client.ObjectKey) {
	for _, name := range []string{render.AdminSecretName(cluster.Name), render.RedisName(cluster.Name)} {
		r.secrets.forget(client.ObjectKey{Namespace: cluster.Namespace, Name: name})
	}
}

func keepOrGenerate(secret *corev1.Secret, key string) string {
	if secret != nil && len(secret.Data[key]) > 0 {
		return string(secret.Data[key])
	}
	random := make([]byte, 32)
	// crypto/rand ends the process rather than return an error.
	_, _ = rand.Read(random)
	return base64.RawURLEncoding.EncodeToString(random)
}

func redisCredentialsProblem(secret *corev1.Secret) *status.Problem {
	const field = "spec.redis.external.credentialsSecretRef"
	problem := status.Problem{AffectsRedis: true, BlocksGateways: true}
	switch {
	case secret == nil:
		problem.Reason = v1alpha1.ReasonSecretNotFound
		problem.Message = field + " names a Secret that does not exist: create it in this namespace with the key password, and username where Redis uses ACLs"
	case len(secret.Data[render.KeyRedisPassword]) == 0:
		problem.Reason = v1alpha1.ReasonSecretKeyMissing
		problem.Message = field + " names a Secret without the key password, or with an empty one: add it to the Secret"
	default:
		return nil
	}
	return &problem
}

func secretValueProblem(secret *corev1.Secret, value render.SecretValue) *status.Problem {
	problem := status.Problem{BlocksGateways: true}
	switch {
	case secret == nil:
		problem.Reason = v1alpha1.ReasonSecretNotFound
		problem.Message = fmt.Sprintf("%[1]s.name names a Secret that does not exist: create it in this namespace with the key of %[1]s.key, by default %[2]s", value.Field, value.Setting)
	case len(secret.Data[value.Key]) == 0:
		problem.Reason = v1alpha1.ReasonSecretKeyMissing
		problem.Message = fmt.Sprintf("%s.key (by default %s) names a key that the Secret does not have, or that is empty: add it to the Secret, or name another key", value.Field, value.Setting)
	case len(secret.Data[value.Key]) < value.MinBytes:
		problem.Reason = v1alpha1.ReasonSecretKeyTooShort
		problem.Message = fmt.Sprintf("%s.key (by default %s) names a key of the Secret with fewer than %d bytes: put a longer one there", value.Field, value.Setting, value.MinBytes)
	default:
		return nil
	}
	return &problem
}

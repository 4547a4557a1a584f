package controllers

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/controllers/status"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// credentials are the contents of the Secrets that a fleet uses.
type credentials struct {
	// generated are the values of the Secrets that the operator makes.
	generated render.Secrets
	// hash changes when a value that the gateways read changes. It is empty when they read none.
	hash string
	// versions are the resourceVersions that the Secrets of generated had when they were read. One that does not exist is
	// not among them.
	versions map[render.Ref]string
	// problems are what is wrong with the Secrets that the spec names.
	problems []status.Problem
}

// readCredentials reads every Secret that the fleet uses. A value that the operator makes is kept where it exists.
// Otherwise it is generated here, and the next apply writes it. readCredentials returns an error when a read fails.
func (r *Reconciler) readCredentials(ctx context.Context, cluster *v1alpha1.WebSocketCluster) (credentials, error) {
	admin, err := r.ownSecret(ctx, cluster, render.AdminSecretName(cluster.Name))
	if err != nil {
		return credentials{}, err
	}
	result := credentials{
		generated: render.Secrets{
			AdminToken: keepOrGenerate(admin, contract.AdminTokenKey),
			Salt:       keepOrGenerate(admin, render.KeySalt),
		},
		versions: map[render.Ref]string{},
	}
	result.noteVersion(admin)
	redis, err := r.readRedisCredentials(ctx, cluster, &result)
	if err != nil {
		return credentials{}, err
	}
	named, err := r.readNamedSecrets(ctx, cluster, &result)
	if err != nil {
		return credentials{}, err
	}
	if err := r.checkCertificate(ctx, cluster, &result); err != nil {
		return credentials{}, err
	}
	if used := slices.Concat(redis, named); len(used) > 0 {
		result.hash = render.HashSecret(result.generated.Salt, used...)
	}
	return result, nil
}

// noteVersion remembers the version of a Secret of the operator's own. A nil secret means that it does not exist.
func (c *credentials) noteVersion(secret *corev1.Secret) {
	if secret != nil {
		c.versions[render.SecretRef(secret.Name)] = secret.ResourceVersion
	}
}

// pinned returns the objects with the versions that the Secrets among them must still have to be written: otherwise the
// operator would overwrite a value that another client has written since the Secret was read.
func (c *credentials) pinned(objects []render.Object) []render.Object {
	pinned := slices.Clone(objects)
	for i := range pinned {
		pinned[i].Version = c.versions[pinned[i].Ref]
	}
	return pinned
}

// readRedisCredentials returns what changes with the values that the gateways log in to Redis with, and adds the
// generated password, or a problem, to result. It returns an error when a read fails.
func (r *Reconciler) readRedisCredentials(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, result *credentials,
) ([]string, error) {
	redis := cluster.Spec.Redis
	switch {
	case redis.Managed != nil:
		own, err := r.ownSecret(ctx, cluster, render.RedisName(cluster.Name))
		if err != nil {
			return nil, err
		}
		result.generated.RedisPassword = keepOrGenerate(own, render.KeyRedisPassword)
		result.noteVersion(own)
		return []string{result.generated.RedisPassword}, nil
	case redis.External != nil && redis.External.CredentialsSecretRef != nil:
		secret, err := r.secrets.digests(ctx, client.ObjectKeyFromObject(cluster),
			redis.External.CredentialsSecretRef.Name, render.KeyRedisUsername, render.KeyRedisPassword)
		if err != nil {
			return nil, err
		}
		if problem := redisCredentialsProblem(secret); problem != nil {
			result.problems = append(result.problems, *problem)
			return nil, nil
		}
		return []string{secret[render.KeyRedisUsername].text(), secret[render.KeyRedisPassword].text()}, nil
	default:
		return nil, nil
	}
}

// readNamedSecrets returns what changes with the values of the Secrets that spec.gateway names, and adds the problems
// with them to result. It returns an error when a read fails.
func (r *Reconciler) readNamedSecrets(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, result *credentials,
) ([]string, error) {
	var used []string
	for _, value := range render.SecretValues(cluster.Spec) {
		secret, err := r.secrets.digests(ctx, client.ObjectKeyFromObject(cluster), value.Secret, value.Key)
		if err != nil {
			return nil, err
		}
		if problem := secretValueProblem(secret, value); problem != nil {
			result.problems = append(result.problems, *problem)
			continue
		}
		used = append(used, secret[value.Key].text())
	}
	return used, nil
}

// ownSecret returns a Secret that the operator has made for the cluster, or nil when there is none or it is foreign. It
// returns an error when the read fails.
func (r *Reconciler) ownSecret(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster, name string,
) (*corev1.Secret, error) {
	read := r.secrets.readThrough
	if r.applier.newClusters.has(cluster) {
		read = r.secrets.read
	}
	secret, err := read(ctx, client.ObjectKey{Namespace: cluster.Namespace, Name: name})
	if err != nil || secret == nil || !isOwned(secret, cluster) {
		return nil, err
	}
	return secret, nil
}

// forgetSecrets drops the Secrets of a cluster that was deleted. No later read would drop them.
func (r *Reconciler) forgetSecrets(cluster client.ObjectKey) {
	for _, name := range []string{render.AdminSecretName(cluster.Name), render.RedisName(cluster.Name)} {
		r.secrets.forget(client.ObjectKey{Namespace: cluster.Namespace, Name: name})
	}
	r.secrets.forgetDigests(cluster)
}

// keepOrGenerate returns the Secret's value at key, or 32 random bytes in base64 when there is none.
func keepOrGenerate(secret *corev1.Secret, key string) string {
	if secret != nil && len(secret.Data[key]) > 0 {
		return string(secret.Data[key])
	}
	random := make([]byte, 32)
	// crypto/rand ends the process instead of returning an error.
	_, _ = rand.Read(random)
	return base64.RawURLEncoding.EncodeToString(random)
}

// redisCredentialsProblem returns what is wrong with the Secret of an external Redis, or nil. A nil secret means that
// it does not exist.
func redisCredentialsProblem(secret secretDigests) *status.Problem {
	const field = "spec.redis.external.credentialsSecretRef"
	problem := status.Problem{AffectsRedis: true, BlocksGateways: true}
	switch {
	case secret == nil:
		problem.Reason = v1alpha1.ReasonSecretNotFound
		problem.Message = field + " names a Secret that does not exist: " +
			"create it in this namespace with the key password, and username where Redis uses ACLs"
	case secret[render.KeyRedisPassword].bytes == 0:
		problem.Reason = v1alpha1.ReasonSecretKeyMissing
		problem.Message = field + " names a Secret without the key password, or with an empty one: add it to the Secret"
	default:
		return nil
	}
	return &problem
}

// secretValueProblem returns what is wrong with the Secret that value.Field names, or nil. A nil secret means that it
// does not exist.
func secretValueProblem(secret secretDigests, value render.SecretValue) *status.Problem {
	problem := status.Problem{BlocksGateways: true}
	switch {
	case secret == nil:
		problem.Reason = v1alpha1.ReasonSecretNotFound
		problem.Message = fmt.Sprintf("%[1]s.name names a Secret that does not exist: "+
			"create it in this namespace with the key of %[1]s.key, by default %[2]s", value.Field, value.Setting)
	case secret[value.Key].bytes == 0:
		problem.Reason = v1alpha1.ReasonSecretKeyMissing
		problem.Message = fmt.Sprintf("%s.key (by default %s) names a key that the Secret does not have, "+
			"or that is empty: add it to the Secret, or name another key", value.Field, value.Setting)
	case secret[value.Key].bytes < value.MinBytes:
		problem.Reason = v1alpha1.ReasonSecretKeyTooShort
		problem.Message = fmt.Sprintf("%s.key (by default %s) names a key of the Secret with fewer than %d bytes: "+
			"put a longer one there", value.Field, value.Setting, value.MinBytes)
	default:
		return nil
	}
	return &problem
}

// Package roles gives users of a test's API server the operator's permissions.
package roles

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// Grant creates the ClusterRoles of a file, which may have several documents, and binds a user to them. It returns an
// error when the file cannot be read or the API server refuses an object.
func Grant(ctx context.Context, c client.Client, path, user string) error {
	roles, err := Read(path)
	if err != nil {
		return err
	}
	for i := range roles {
		role := &roles[i]
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role.Name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
		}
		if err := errors.Join(c.Create(ctx, role), c.Create(ctx, binding)); err != nil {
			return err
		}
	}
	return nil
}

// Read returns the ClusterRoles of a file. It returns an error when the file cannot be read.
func Read(path string) ([]rbacv1.ClusterRole, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var roles []rbacv1.ClusterRole
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return roles, nil
		}
		var role rbacv1.ClusterRole
		if err = errors.Join(err, yaml.UnmarshalStrict(document, &role)); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if role.Name != "" {
			roles = append(roles, role)
		}
	}
}

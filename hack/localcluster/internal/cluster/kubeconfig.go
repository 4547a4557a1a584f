package cluster

import "sigs.k8s.io/yaml"

// kubeconfig renders what a client needs to reach server as the holder of the
// certificate. Admin files carry the certificates themselves, so that they can
// be copied elsewhere.
func kubeconfig(name, server string, ca, cert, key []byte) ([]byte, error) {
	type object = map[string]any
	return yaml.Marshal(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": name,
		"clusters": []object{{"name": name, "cluster": object{
			"server": server, "certificate-authority-data": ca,
		}}},
		"users": []object{{"name": name, "user": object{
			"client-certificate-data": cert, "client-key-data": key,
		}}},
		"contexts": []object{{"name": name, "context": object{
			"cluster": name, "user": name,
		}}},
	})
}

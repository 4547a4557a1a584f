// The process that holds a pod's namespaces.
module github.com/wsfleet/wsfleet/hack/localcluster/binaries/pause

go 1.26.0

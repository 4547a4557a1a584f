//go:build !unix

package gateway

// maxOpenFiles reports that the limit is not known on this system.
func maxOpenFiles() (files uint64, known bool) { return 0, false }

package main

import "runtime/debug"

// ownVersion returns the version that the linker set, or else the version that the Go tool recorded in the build.
func ownVersion() string {
	if version != "" {
		return version
	}
	if build, ok := debug.ReadBuildInfo(); ok && build.Main.Version != "" && build.Main.Version != "(devel)" {
		return build.Main.Version
	}
	return "dev"
}

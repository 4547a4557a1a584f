package main

import "runtime/debug"

// ownVersion is what the linker set, or what the Go tool knows of the build.
func ownVersion() string {
	if version != "" {
		return version
	}
	if build, ok := debug.ReadBuildInfo(); ok && build.Main.Version != "" && build.Main.Version != "(devel)" {
		return build.Main.Version
	}
	return "dev"
}

//go:build !linux

// Command floor needs epoll.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "floor: this needs Linux: its event loop is epoll's")
	os.Exit(1)
}

// Command comments checks what a machine can see of the rules for comments in CONTRIBUTING.md. `make lint` runs it. It
// prints one line for each finding and exits with 1 when there is one.
//
//	go run ./hack/comments [-exceptions FILE] DIRECTORY...
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func main() {
	exceptions := flag.String("exceptions", "", "`file` of findings that are right as they are, each with its reason")
	flag.Parse()
	found, err := run(os.Stdout, *exceptions, flag.Args())
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "comments:", err)
		os.Exit(2)
	case found > 0:
		fmt.Fprintf(os.Stderr, "comments: %d findings; the rules are in CONTRIBUTING.md\n", found)
		os.Exit(1)
	}
	fmt.Println("comments: no findings")
}

// run checks all Go files below the roots and prints the findings that no exception explains. It returns their number.
// It returns an error when a file cannot be read or parsed, and when an exception is malformed or explains nothing.
func run(out io.Writer, exceptionsFile string, roots []string) (int, error) {
	known, err := readExceptions(exceptionsFile)
	if err != nil {
		return 0, err
	}
	files, err := goFiles(roots)
	if err != nil {
		return 0, err
	}
	found := 0
	for _, path := range files {
		findings, err := checkFile(path)
		if err != nil {
			return 0, err
		}
		for _, f := range findings {
			if known.explains(f) {
				continue
			}
			found++
			_, _ = fmt.Fprintln(out, f)
		}
	}
	return found, known.unused()
}

// goFiles returns the Go files below the roots in their order, without generated files, test data and vendored
// packages. It returns an error when a directory cannot be read.
func goFiles(roots []string) ([]string, error) {
	var files []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name := entry.Name()
			if entry.IsDir() && path != root && (strings.HasPrefix(name, ".") || slices.Contains(skippedDirectories, name)) {
				return fs.SkipDir
			}
			if !entry.IsDir() && strings.HasSuffix(name, ".go") && !strings.HasPrefix(name, "zz_generated") {
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("list Go files: %w", err)
		}
	}
	if len(files) == 0 {
		return nil, errors.New("no Go files: give directories that have some")
	}
	return files, nil
}

var skippedDirectories = []string{"node_modules", "testdata", "bin", "dist"}

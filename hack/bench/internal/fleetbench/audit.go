package fleetbench

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
)

// requests are numbers of the operator's requests.
type requests struct {
	// objects are writes of the objects of fleets, status those of a status, events those of events. Refused writes
	// count too.
	objects, status, events int
	// distinct is the number of different objects among objects.
	distinct int
	dryRuns  int
	// reads are gets and lists. Watches are left out.
	reads int
}

// minus returns the requests since before.
func (r requests) minus(before requests) requests {
	return requests{
		objects: r.objects - before.objects,
		status:  r.status - before.status,
		events:  r.events - before.events,
		dryRuns: r.dryRuns - before.dryRuns,
		reads:   r.reads - before.reads,
	}
}

// writes returns the number of all writes that were no dry run.
func (r requests) writes() int { return r.objects + r.status + r.events }

// audited is a line of the audit log.
type audited struct {
	Verb       string    `json:"verb"`
	RequestURI string    `json:"requestURI"`
	ObjectRef  objectRef `json:"objectRef"`
}

type objectRef struct {
	Resource, Subresource, Namespace, Name string
}

// requestsSoFar counts the requests in the audit log. The API server writes a line before it answers.
func (p *plane) requestsSoFar() (requests, error) {
	file, err := os.Open(p.auditLog)
	if err != nil {
		return requests{}, err
	}
	defer func() { _ = file.Close() }()
	var sum requests
	seen := map[objectRef]bool{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line audited
		// The last line may be incomplete.
		if json.Unmarshal(lines.Bytes(), &line) == nil {
			sum.count(line, seen)
		}
	}
	sum.distinct = len(seen)
	return sum, lines.Err()
}

// count adds a request, and the object that it writes to seen.
func (r *requests) count(line audited, seen map[objectRef]bool) {
	switch {
	case strings.HasPrefix(line.RequestURI, "/apis/coordination.k8s.io/"), strings.Contains(line.RequestURI, "reviews"):
	case strings.Contains(line.RequestURI, "dryRun="):
		r.dryRuns++
	case line.Verb == "get", line.Verb == "list":
		r.reads++
	case line.Verb == "watch":
	case line.ObjectRef.Resource == "events":
		r.events++
	case line.ObjectRef.Subresource == "status":
		r.status++
	default:
		r.objects++
		if line.ObjectRef.Resource != "websocketclusters" {
			seen[line.ObjectRef] = true
		}
	}
}

package load

import "github.com/HdrHistogram/hdrhistogram-go"

// Result is what a run found. Times are in seconds, sizes in bytes.
type Result struct {
	Scenario     Scenario `json:"scenario"`
	URL          string   `json:"url"`
	Protocol     Protocol `json:"protocol"`
	Clients      int      `json:"clients"`
	Channels     int      `json:"channels"`
	Processes    int      `json:"processes"`
	MessageBytes int      `json:"messageBytes"`
	Loop         string   `json:"loop"`
	Rate         float64  `json:"rate"`
	Window       int      `json:"window"`

	Phases   []Phase  `json:"phases"`
	Connect  Connect  `json:"connect"`
	Publish  Publish  `json:"publish"`
	Delivery Delivery `json:"delivery"`
	// Disconnects are connections that this side did not end, by how they ended.
	Disconnects map[string]int64 `json:"disconnects"`
	Steps       []Step           `json:"steps,omitempty"`
	// Ended is why a ramp ended before all clients were there.
	Ended   string   `json:"ended,omitempty"`
	Samples []Sample `json:"samples"`
	// Server is the whole run, in CPU time, and its end, in memory; nil when it is not observed.
	Server *ServerTotal `json:"server"`
	// LoadCPUSeconds is what this tool itself used, all processes.
	LoadCPUSeconds float64 `json:"loadCpuSeconds"`
	// Interrupted is set when the user ended the run early.
	Interrupted bool `json:"interrupted"`
	// Failures are why the run is not what was asked for; none is success.
	Failures []string `json:"failures"`

	// The plots are drawn from these; nil without any.
	connectLatency, deliveryLatency *hdrhistogram.Histogram
}

// Phase is a part of a run.
type Phase struct {
	Name    string       `json:"name"`
	Seconds float64      `json:"seconds"`
	Server  *ServerPhase `json:"server"`
	// LoadCPUSeconds is what this tool used in it.
	LoadCPUSeconds float64 `json:"loadCpuSeconds"`
}

// ServerPhase is what a phase cost the server.
type ServerPhase struct {
	CPUSeconds    float64 `json:"cpuSeconds"`
	RSSStartBytes int64   `json:"rssStartBytes"`
	RSSEndBytes   int64   `json:"rssEndBytes"`
}

// ServerTotal is what the run cost the server.
type ServerTotal struct {
	CPUSeconds float64 `json:"cpuSeconds"`
	RSSBytes   int64   `json:"rssBytes"`
}

// Connect is how the clients came.
type Connect struct {
	// Attempted counts attempts, Failed clients that did not make it.
	Attempted int64            `json:"attempted"`
	Connected int64            `json:"connected"`
	Failed    int64            `json:"failed"`
	Errors    map[string]int64 `json:"errors"`
	PerSecond float64          `json:"perSecond"`
	Latency   Latency          `json:"latency"`

	recovery Recovery
}

// Publish is what was sent within the measured time.
type Publish struct {
	Sent int64 `json:"sent"`
	// Acknowledged stays 0 with the plain protocol, which has no acknowledgements.
	Acknowledged int64            `json:"acknowledged"`
	Failed       int64            `json:"failed"`
	Errors       map[string]int64 `json:"errors"`
	PerSecond    float64          `json:"perSecond"`
}

// Delivery is what became of it.
type Delivery struct {
	// Expected is each publication times the subscribers of its channel.
	Expected int64 `json:"expected"`
	// Received counts each message once per subscriber.
	Received   int64 `json:"received"`
	Lost       int64 `json:"lost"`
	Duplicated int64 `json:"duplicated"`
	Reordered  int64 `json:"reordered"`
	// PerSecond is of the deliveries that came within the measured time.
	PerSecond float64 `json:"perSecond"`
	Latency   Latency `json:"latency"`
}

// Step is one of a ramp, or one cycle of a storm.
type Step struct {
	Clients  int       `json:"clients"`
	Seconds  float64   `json:"seconds"`
	Connect  Connect   `json:"connect"`
	Publish  *Publish  `json:"publish,omitempty"`
	Delivery *Delivery `json:"delivery,omitempty"`
	// BackAfterSeconds is the time from the reconnects' beginning to the last client's subscription.
	BackAfterSeconds float64 `json:"backAfterSeconds,omitempty"`
	// Recovery is of a storm whose clients recover.
	Recovery *Recovery    `json:"recovery,omitempty"`
	Server   *ServerPhase `json:"server"`
}

// Recovery is what those got who came back with a position.
type Recovery struct {
	// Recovered clients have missed nothing, Unrecovered ones were told that they have.
	Recovered   int64 `json:"recovered"`
	Unrecovered int64 `json:"unrecovered"`
	// Publications are those that came with the answers to subscribe.
	Publications int64 `json:"publications"`
}

func (r *Recovery) note(of recovery) {
	switch {
	case !of.asked:
		return
	case of.recovered:
		r.Recovered++
	default:
		r.Unrecovered++
	}
	r.Publications += of.publications
}

func (r *Recovery) add(other Recovery) {
	r.Recovered += other.Recovered
	r.Unrecovered += other.Unrecovered
	r.Publications += other.Publications
}

// Sample is how things stood at one moment, about one a second.
type Sample struct {
	Seconds             float64 `json:"seconds"`
	Phase               string  `json:"phase"`
	Connected           int     `json:"connected"`
	PublishedPerSecond  float64 `json:"publishedPerSecond"`
	DeliveriesPerSecond float64 `json:"deliveriesPerSecond"`
	// P50 and P99 are of the messages since the sample before.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	// ServerCPU is in cores.
	ServerCPU      float64 `json:"serverCpu"`
	ServerRSSBytes int64   `json:"serverRssBytes"`
}

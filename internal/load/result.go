package load

import "github.com/HdrHistogram/hdrhistogram-go"

// Result is the result of a run. Times are in seconds, sizes in bytes.
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
	// Disconnects counts connections that the server or the network ended, by reason.
	Disconnects map[string]int64 `json:"disconnects"`
	Steps       []Step           `json:"steps,omitempty"`
	// Ended says why a ramp ended before all clients were connected.
	Ended string `json:"ended,omitempty"`
	// Live is what happened to the clients of live; nil in other scenarios.
	Live    *LiveResult `json:"live,omitempty"`
	Samples []Sample    `json:"samples"`
	// Server is the server's CPU time over the whole run and its memory at the end; nil when it is not observed.
	Server *ServerTotal `json:"server"`
	// LoadCPUSeconds is the CPU time of this tool, over all its processes.
	LoadCPUSeconds float64 `json:"loadCpuSeconds"`
	// Interrupted is set when the user ended the run early.
	Interrupted bool `json:"interrupted"`
	// Failures say why the run did not succeed. It is empty when it did.
	Failures []string `json:"failures"`

	// connectLatency, deliveryLatency and awayTimes are drawn as plots; nil when there are none.
	connectLatency, deliveryLatency, awayTimes *hdrhistogram.Histogram
}

// Phase is a part of a run.
type Phase struct {
	Name    string       `json:"name"`
	Seconds float64      `json:"seconds"`
	Server  *ServerPhase `json:"server"`
	// LoadCPUSeconds is the CPU time of this tool in the phase.
	LoadCPUSeconds float64 `json:"loadCpuSeconds"`
}

// ServerPhase is the server's resource usage in a phase.
type ServerPhase struct {
	CPUSeconds    float64 `json:"cpuSeconds"`
	RSSStartBytes int64   `json:"rssStartBytes"`
	RSSEndBytes   int64   `json:"rssEndBytes"`
}

// ServerTotal is the server's resource usage of the run.
type ServerTotal struct {
	CPUSeconds float64 `json:"cpuSeconds"`
	RSSBytes   int64   `json:"rssBytes"`
}

// Connect is the outcome of connecting clients.
type Connect struct {
	// Attempted counts attempts, Failed clients whose attempts all failed.
	Attempted int64            `json:"attempted"`
	Connected int64            `json:"connected"`
	Failed    int64            `json:"failed"`
	Errors    map[string]int64 `json:"errors"`
	PerSecond float64          `json:"perSecond"`
	Latency   Latency          `json:"latency"`

	recovery Recovery
	timeline []Attempts
}

// Publish counts the publications that were due within the measured time.
type Publish struct {
	Sent int64 `json:"sent"`
	// Acknowledged stays 0 with the plain protocol, which has no acknowledgements.
	Acknowledged int64            `json:"acknowledged"`
	Failed       int64            `json:"failed"`
	Errors       map[string]int64 `json:"errors"`
	PerSecond    float64          `json:"perSecond"`
}

// Delivery counts the deliveries of these publications.
type Delivery struct {
	// Expected is the sum over all publications of the subscribers of their channels.
	Expected int64 `json:"expected"`
	// Received counts each message once per subscriber.
	Received   int64 `json:"received"`
	Lost       int64 `json:"lost"`
	Duplicated int64 `json:"duplicated"`
	Reordered  int64 `json:"reordered"`
	// PerSecond is the rate of the deliveries that came within the measured time.
	PerSecond float64 `json:"perSecond"`
	Latency   Latency `json:"latency"`
}

// Step is one step of a ramp, or one cycle of a storm.
type Step struct {
	Clients  int       `json:"clients"`
	Seconds  float64   `json:"seconds"`
	Connect  Connect   `json:"connect"`
	Publish  *Publish  `json:"publish,omitempty"`
	Delivery *Delivery `json:"delivery,omitempty"`
	// BackAfterSeconds is the time from the start of the reconnects to the subscription of the last client.
	BackAfterSeconds float64 `json:"backAfterSeconds,omitempty"`
	// Timeline holds the attempts of each second of a storm's reconnects.
	Timeline []Attempts `json:"timeline,omitempty"`
	// Recovery is set for a storm whose clients recover.
	Recovery *Recovery    `json:"recovery,omitempty"`
	Server   *ServerPhase `json:"server"`
}

// Recovery counts the outcomes of clients that subscribed with a position.
type Recovery struct {
	// Recovered counts clients that miss no publication, Unrecovered those that the server told that they do.
	Recovered   int64 `json:"recovered"`
	Unrecovered int64 `json:"unrecovered"`
	// Publications counts the publications in the replies to subscribe.
	Publications int64 `json:"publications"`
}

func (r *Recovery) count(client recovery) {
	switch {
	case !client.requested:
		return
	case client.recovered:
		r.Recovered++
	default:
		r.Unrecovered++
	}
	r.Publications += client.publications
}

func (r *Recovery) add(other Recovery) {
	r.Recovered += other.Recovered
	r.Unrecovered += other.Unrecovered
	r.Publications += other.Publications
}

// Sample is the state of the run at one moment. There is about one per second.
type Sample struct {
	Seconds             float64 `json:"seconds"`
	Phase               string  `json:"phase"`
	Connected           int     `json:"connected"`
	PublishedPerSecond  float64 `json:"publishedPerSecond"`
	DeliveriesPerSecond float64 `json:"deliveriesPerSecond"`
	// P50 and P99 are percentiles of the latency since the sample before, in seconds.
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	// Away is the number of clients of live that are away, and the rates are those of the second before.
	Away             int64   `json:"away,omitempty"`
	LostPerSecond    float64 `json:"connectionsLostPerSecond,omitempty"`
	ReturnsPerSecond float64 `json:"returnsPerSecond,omitempty"`
	RefusedPerSecond float64 `json:"refusedPerSecond,omitempty"`
	// ServerCPU is the server's CPU usage in cores.
	ServerCPU      float64 `json:"serverCpu"`
	ServerRSSBytes int64   `json:"serverRssBytes"`
}

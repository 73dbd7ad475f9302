package supervision

import "time"

// State names a directory with data that must not silently start over.
type State struct {
	Dir      string `json:"dir"`      // absolute, on the node
	Sentinel string `json:"sentinel"` // relative to Dir
}

// Probe is one question to a local endpoint. URL is http://, https:// (with CA, and with
// Certificate when the endpoint wants one), tcp://host:port or unix:///path (connecting is
// enough, which a process that hangs allows), or grpc+unix:///path (gRPC's health protocol). Only loopback, the node's own address and unix sockets are accepted, but for Await.
type Probe struct {
	URL         string   `json:"url"`
	CA          string   `json:"ca,omitempty"`          // absolute path as the unit sees it
	Certificate string   `json:"certificate,omitempty"` // directory with tls.crt and tls.key
	Timeout     Duration `json:"timeout,omitempty"`     // one attempt; 1s when zero
	Interval    Duration `json:"interval,omitempty"`    // between attempts once ready; 10s when zero
	Failures    int      `json:"failures,omitempty"`    // in a row until unhealthy; 3 when zero
}

// Duration is a time.Duration that JSON shows as "1m30s".
type Duration time.Duration

// SpecInRoot is where a component's root sees its exec file.
const SpecInRoot = "/exec.json"

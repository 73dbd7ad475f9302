package component

// monitoring are the images that watch a cluster.
func monitoring() []Recipe {
	return []Recipe{nodeExporter(), metricsServer(), nodeProblemDetector(), prometheus()}
}

func metricsServer() Recipe {
	return Recipe{
		Image:    "metrics-server",
		Version:  "v0.9.0",
		Source:   "metrics-server",
		Module:   "sigs.k8s.io/metrics-server",
		Programs: []Program{{"sigs.k8s.io/metrics-server/cmd/metrics-server", "usr/bin/metrics-server"}},
		Tags:     []string{"grpcnotrace"},
		Stamps: []string{
			"k8s.io/client-go/pkg/version.gitVersion=${version}",
			"k8s.io/client-go/pkg/version.gitCommit=unknown",
			"k8s.io/client-go/pkg/version.buildDate=1970-01-01T00:00:00Z",
			"k8s.io/component-base/version.gitVersion=${version}",
		},
		User: "65534:65534",
	}
}

func nodeExporter() Recipe {
	return Recipe{
		Image:    "node-exporter",
		Version:  "v1.12.1",
		Source:   "node-exporter",
		Module:   "github.com/prometheus/node_exporter",
		Programs: []Program{{"github.com/prometheus/node_exporter", "usr/bin/node_exporter"}},
		Stamps:   prometheusStamps(),
		User:     "65534:65534",
	}
}

// prometheus 3.x is module version 0.3xx. Upstream embeds its web interface from compressed
// files that its release build makes with npm; the module has their sources only, so this
// image answers the HTTP API and /metrics, and shows no pages.
func prometheus() Recipe {
	return Recipe{
		Image:         "prometheus",
		Version:       "v3.15.0",
		Source:        "prometheus",
		Module:        "github.com/prometheus/prometheus",
		ModuleVersion: "v0.315.0",
		Programs:      []Program{{"github.com/prometheus/prometheus/cmd/prometheus", "usr/bin/prometheus"}},
		Tags:          []string{"netgo", "grpcnotrace"},
		Stamps:        prometheusStamps(),
		User:          "65534:65534",
	}
}

// prometheusStamps are what the project's programs say with --version.
func prometheusStamps() []string {
	const pkg = "github.com/prometheus/common/version."
	return []string{pkg + "Version=${bare}", pkg + "Revision=unknown", pkg + "Branch=HEAD", pkg + "BuildDate=19700101-00:00:00"}
}

// nodeProblemDetector is built without its reader of systemd's journal, which needs cgo and
// libsystemd; kernel messages, plugins, and statistics are there.
func nodeProblemDetector() Recipe {
	const cmd = "k8s.io/node-problem-detector/cmd/"
	return Recipe{
		Image:   "node-problem-detector",
		Version: "v1.36.0",
		Source:  "node-problem-detector",
		Module:  "k8s.io/node-problem-detector",
		Programs: []Program{
			{cmd + "healthchecker", "usr/bin/health-checker"},
			{cmd + "nodeproblemdetector", "usr/bin/node-problem-detector"},
		},
		Tags:       []string{"grpcnotrace"},
		Stamps:     []string{"k8s.io/node-problem-detector/pkg/version.version=${version}"},
		Entrypoint: []string{"/usr/bin/node-problem-detector"},
	}
}

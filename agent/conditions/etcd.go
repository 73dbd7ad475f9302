package conditions

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"slipway.build/slipway/agent/plan"
	"slipway.build/slipway/agent/protocol"
)

// Types of the conditions of a check of type etcd.
const (
	TypeEtcdAway  = "EtcdUnavailable"
	TypeEtcdAlarm = "EtcdAlarm"
	TypeEtcdSlow  = "EtcdSlow"
)

// Bounds of etcd's health. Its documentation asks for a 99th percentile of fsync below 10 ms; the
// heartbeat (100 ms) is missed when it gets near that. 64 ms is the bucket of its own histogram
// below it. A quorum read costs one round trip to a majority.
const (
	fsyncSlow    = "0.064" // seconds, a bucket of the histogram
	slowMany     = 100     // one in so many fsyncs slower than that is too many
	slowLeast    = 3       // and so many at least
	readSlow     = 500 * time.Millisecond
	quotaNear    = 80 // percent of the quota
	etcdPatience = 2 * time.Second
)

// Rows of etcd's metrics.
const (
	fsyncBucket = `etcd_disk_wal_fsync_duration_seconds_bucket{le="` + fsyncSlow + `"}`
	fsyncCount  = `etcd_disk_wal_fsync_duration_seconds_count`
	dbSize      = `etcd_mvcc_db_total_size_in_bytes`
	dbQuota     = `etcd_server_quota_backend_bytes`
)

// etcd asks a member's own health endpoint: /health is a quorum read and knows the alarms,
// /metrics has the disk's latency and the size.
type etcd struct {
	check plan.Check
	now   func() time.Time

	slow         bool
	fast, fsyncs float64 // at the last look
}

// health is what /health answers, as 200 or 503.
type health struct {
	Health string `json:"health"` // "true" or "false"
	Reason string `json:"reason"` // "ALARM NOSPACE", "RAFT NO LEADER", …
}

func (e *etcd) look(ctx context.Context) []protocol.Condition {
	client, err := e.client()
	if err != nil {
		return []protocol.Condition{finding(TypeEtcdAway, Unknown, "Unreadable", "%v", err)}
	}
	defer client.CloseIdleConnections()
	begun := e.now()
	h, err := e.health(ctx, client)
	took := e.now().Sub(begun)
	if err != nil {
		return []protocol.Condition{
			finding(TypeEtcdAway, True, "NoAnswer", "%v; see `slipway-agent why` and the unit's name", err),
			finding(TypeEtcdAlarm, Unknown, "NoAnswer", "the member does not answer"),
			finding(TypeEtcdSlow, Unknown, "NoAnswer", "the member does not answer"),
		}
	}
	away := finding(TypeEtcdAway, False, "Serving", "a quorum read took %v", took.Round(100*time.Microsecond))
	alarm := finding(TypeEtcdAlarm, False, "None", "no alarm is raised")
	switch {
	case strings.HasPrefix(h.Reason, "ALARM"):
		alarm = finding(TypeEtcdAlarm, True, "Raised", "%s; compact and defragment, then disarm the alarm", strings.TrimSpace(h.Reason))
	case h.Health != "true":
		away = finding(TypeEtcdAway, True, "NoQuorum", "%s; the member runs, its peers do not answer: look at the other masters", h.Reason)
	}
	rows, err := e.metrics(ctx, client)
	if err != nil {
		return []protocol.Condition{away, alarm, finding(TypeEtcdSlow, Unknown, "Unreadable", "%v", err)}
	}
	if used := percent(uint64(rows[dbSize]), uint64(rows[dbQuota])); alarm.Status == False && rows[dbQuota] > 0 {
		alarm.Message = fmt.Sprintf("no alarm is raised; the data are %.0f MiB, %d %% of the quota", rows[dbSize]/(1<<20), used)
		if used >= quotaNear {
			alarm.Status, alarm.Reason = True, "QuotaNear"
			alarm.Message += "; compact and defragment before writes are refused"
		}
	}
	return []protocol.Condition{away, alarm, e.speed(rows, took, away.Status == False)}
}

// speed judges the fsyncs since the last look, and the read if it was answered.
func (e *etcd) speed(rows map[string]float64, took time.Duration, answered bool) protocol.Condition {
	fsyncs, slow := rows[fsyncCount]-e.fsyncs, (rows[fsyncCount]-rows[fsyncBucket])-(e.fsyncs-e.fast)
	if fsyncs < 0 || slow < 0 { // it was restarted and counts anew
		fsyncs, slow = rows[fsyncCount], rows[fsyncCount]-rows[fsyncBucket]
	}
	e.fast, e.fsyncs = rows[fsyncBucket], rows[fsyncCount]
	many, long := float64(slowMany), readSlow
	if e.slow {
		many, long = 2*slowMany, readSlow/2
	}
	figures := fmt.Sprintf("%.0f of %.0f fsyncs since the last look took more than 64 ms, a quorum read %v", slow, fsyncs, took.Round(100*time.Microsecond))
	e.slow = true
	switch {
	case slow >= slowLeast && slow*many > fsyncs:
		return finding(TypeEtcdSlow, True, "SlowDisk", "%s; the disk is too slow or too busy for etcd", figures)
	case answered && took > long:
		return finding(TypeEtcdSlow, True, "SlowRead", "%s; its peers or the network are slow", figures)
	default:
		e.slow = false
		return finding(TypeEtcdSlow, False, "Fast", "%s", figures)
	}
}

func (e *etcd) client() (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if e.check.CA != "" {
		pem, err := os.ReadFile(e.check.CA)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s: no PEM certificate", e.check.CA)
		}
	}
	if dir := e.check.Certificate; dir != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{Timeout: etcdPatience, Transport: &http.Transport{TLSClientConfig: config}}, nil
}

func (e *etcd) get(ctx context.Context, client *http.Client, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(e.check.Endpoint, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	return client.Do(req)
}

func (e *etcd) health(ctx context.Context, client *http.Client) (health, error) {
	var h health
	resp, err := e.get(ctx, client, "/health")
	if err != nil {
		return h, err
	}
	defer func() { _ = resp.Body.Close() }()
	const maxBody = 4 << 10
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return h, err
	}
	if err := json.Unmarshal(raw, &h); err != nil || h.Health == "" {
		return h, fmt.Errorf("%s/health answered %s and nothing about its health", e.check.Endpoint, resp.Status)
	}
	return h, nil
}

// metrics reads the rows that count out of the Prometheus text form.
func (e *etcd) metrics(ctx context.Context, client *http.Client) (map[string]float64, error) {
	resp, err := e.get(ctx, client, "/metrics")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s/metrics answered %s", e.check.Endpoint, resp.Status)
	}
	rows := map[string]float64{}
	const maxBody = 4 << 20
	lines := bufio.NewScanner(io.LimitReader(resp.Body, maxBody))
	for lines.Scan() {
		line := lines.Bytes() // a member has thousands: none but the wanted ones is copied
		for _, row := range [...]string{fsyncBucket, fsyncCount, dbSize, dbQuota} {
			if len(line) <= len(row) || string(line[:len(row)]) != row || line[len(row)] != ' ' {
				continue
			}
			text := string(line[len(row)+1:])
			if rows[row], err = strconv.ParseFloat(text, 64); err != nil {
				return nil, fmt.Errorf("%s/metrics: %s is %q", e.check.Endpoint, row, text)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s/metrics: %w", e.check.Endpoint, err)
	}
	return rows, nil
}

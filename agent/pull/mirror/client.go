package mirror

import (
	"net"
	"net/http"
	"time"
)

// NewClient returns an HTTP client that suits registries: few connections, large read buffers,
// no transparent decompression, and no limit on the whole answer (reads have one of their own).
func NewClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: 15 * time.Second,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       10 * time.Second,
		ReadBufferSize:        256 << 10,
		DisableCompression:    true,
		ForceAttemptHTTP2:     true,
	}}
}

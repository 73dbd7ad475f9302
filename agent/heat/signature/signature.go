// Package signature signs queries of Heat's CloudFormation API: AWS signature version 2, in the
// form that Keystone checks (python-keystoneclient, contrib/ec2/utils.py).
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Sign returns the signature of a query: verb, host with its port as in the URL, path without
// quoting, and the parameters, Signature excepted.
func Sign(secret, verb, host, path string, parameters map[string]string) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(parameters)) {
		pairs = append(pairs, quote(key)+"="+quote(parameters[key]))
	}
	text := strings.Join([]string{verb, strings.ToLower(host), path, strings.Join(pairs, "&")}, "\n")
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write([]byte(text)) // a hash never fails
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Query returns a signed URL to GET: what DescribeStackResource and its like are called with.
// No Timestamp is among the parameters, so neither clock matters.
func Query(base *url.URL, accessKey, secret string, parameters map[string]string) string {
	all := maps.Clone(parameters)
	all["AWSAccessKeyId"] = accessKey
	all["SignatureVersion"] = "2"
	all["SignatureMethod"] = "HmacSHA256"
	all["Signature"] = Sign(secret, "GET", base.Host, base.Path, all)
	query := url.Values{}
	for key, value := range all {
		query.Set(key, value)
	}
	signed := *base
	signed.RawQuery = query.Encode()
	return signed.String()
}

// quote is RFC 3986: a blank is %20, and only what is unreserved stays.
func quote(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

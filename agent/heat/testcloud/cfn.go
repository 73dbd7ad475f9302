package testcloud

import (
	"encoding/xml"
	"net/http"
	"strings"
	"time"

	"slipway.build/slipway/agent/heat/signature"
)

const (
	accessKey = "access-key"
	secretKey = "secret-key"
	// authTTL is Keystone's [credential] auth_ttl.
	authTTL = 15 * time.Minute
)

// CFNSection is os-collect-config for POLL_SERVER_CFN.
func (c *Cloud) CFNSection() map[string]any {
	return map[string]any{"collectors": []string{"cfn", "local"}, "cfn": map[string]any{
		"metadata_url": c.URL + "/cfn/v1/", "access_key_id": accessKey, "secret_access_key": secretKey,
		"stack_name": strings.Split(Stack, "/")[0], "path": Server + ".Metadata",
	}}
}

// signed checks a signature as Keystone does, and its age where the request says it.
func (c *Cloud) signed(w http.ResponseWriter, r *http.Request) bool {
	parameters := map[string]string{}
	for key, values := range r.URL.Query() {
		parameters[key] = values[0]
	}
	given := parameters["Signature"]
	delete(parameters, "Signature")
	ok := parameters["AWSAccessKeyId"] == accessKey && given == signature.Sign(secretKey, r.Method, r.Host, r.URL.Path, parameters)
	if text, timed := parameters["Timestamp"]; timed && ok {
		at, err := time.Parse("2006-01-02T15:04:05Z", text)
		ok = err == nil && !c.now().After(at.Add(authTTL))
	}
	if !ok {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`<ErrorResponse><Error><Message>User is not authorized to perform action</Message><Code>AccessDenied</Code><Type>Sender</Type></Error></ErrorResponse>`))
	}
	return ok
}

func (c *Cloud) describe(w http.ResponseWriter, r *http.Request) {
	if !c.enter(w, CFN) || !c.signed(w, r) {
		return
	}
	query := r.URL.Query()
	if query.Get("Action") != "DescribeStackResource" || query.Get("StackName") != strings.Split(Stack, "/")[0] || query.Get("LogicalResourceId") != Server {
		http.Error(w, "what?", http.StatusBadRequest)
		return
	}
	type detail struct {
		LogicalResourceID string `xml:"LogicalResourceId"`
		ResourceStatus    string
		Metadata          string
	}
	type result struct {
		StackResourceDetail detail
	}
	answer := struct {
		XMLName                     xml.Name `xml:"DescribeStackResourceResponse"`
		DescribeStackResourceResult result
	}{DescribeStackResourceResult: result{detail{Server, "CREATE_COMPLETE", string(c.Document())}}}
	raw, err := xml.Marshal(answer)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/xml")
	_, _ = w.Write(raw)
}

func (c *Cloud) cfnSignal(w http.ResponseWriter, r *http.Request) {
	if !c.enter(w, CFNSignal) || !c.signed(w, r) {
		return
	}
	var details map[string]any
	if !read(w, r, &details) {
		return
	}
	arn := r.PathValue("arn")
	c.judge(arn[strings.LastIndex(arn, "/")+1:], details)
	w.WriteHeader(http.StatusOK)
}

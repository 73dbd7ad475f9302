package collect

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"slipway.build/slipway/agent/heat/metadata"
	"slipway.build/slipway/agent/heat/rest"
	"slipway.build/slipway/agent/heat/signature"
)

// HintFile names the server when the settings do not (heat-cfntools).
const HintFile = "/var/lib/heat-cfntools/cfn-metadata-server"

// CFN polls the CloudFormation API (transport POLL_SERVER_CFN, Heat's own default).
type CFN struct {
	HTTP *rest.Client
	Hint string // HintFile

	last memory

	mu      sync.Mutex
	ca      string // of private
	private *rest.Client
}

// Name implements Collector.
func (*CFN) Name() string { return nameCFN }

// Collect implements Collector.
func (c *CFN) Collect(ctx context.Context, settings metadata.Settings) (Found, error) {
	access := settings.CFN
	if access.MetadataURL == "" {
		if hint, err := os.ReadFile(c.Hint); err == nil {
			access.MetadataURL = strings.TrimSpace(string(hint)) + "/v1/"
		}
	}
	if access.MetadataURL == "" || access.AccessKeyID == "" || access.SecretAccessKey == "" || access.Path == "" {
		c.last.forget()
		return Found{}, ErrNotConfigured
	}
	base, err := url.Parse(access.MetadataURL)
	if err != nil {
		return Found{}, errors.New("cfn.metadata_url is no URL")
	}
	resource, field, ok := strings.Cut(access.Path, ".")
	if !ok {
		return Found{}, fmt.Errorf("cfn.path %q: want resource.field", access.Path)
	}
	answer, err := c.client(access.CACertificate).Do(ctx, rest.Request{
		Method: http.MethodGet,
		URL: signature.Query(base, access.AccessKeyID, access.SecretAccessKey, map[string]string{
			"Action": "DescribeStackResource", "StackName": access.StackName, "LogicalResourceId": resource,
		}),
		Header: map[string]string{"Content-Type": "application/json"},
	})
	if err != nil {
		return Found{}, err
	}
	if c.last.same(access, answer.Body) {
		return Found{}, ErrUnchanged
	}
	found, err := c.read(access, resource, strings.Split(field, "."), answer.Body)
	if err != nil {
		c.last.forget()
	}
	return found, err
}

func (c *CFN) read(access metadata.CFNAccess, resource string, keys []string, answer []byte) (Found, error) {
	value, err := ResourceDetail(answer, keys[0])
	if err != nil {
		return Found{}, fmt.Errorf("%s of %s: %w", keys[0], resource, err)
	}
	for _, key := range keys[1:] {
		var fields map[string]json.RawMessage
		if json.Unmarshal(value, &fields) != nil || fields[key] == nil {
			return Found{}, fmt.Errorf("cfn.path %q: there is no %s", access.Path, key)
		}
		value = fields[key]
	}
	return parse(nameCFN, value)
}

// client returns the client that believes in the authority of the settings, if there is one.
func (c *CFN) client(ca string) *rest.Client {
	if ca == "" {
		return c.HTTP
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ca != ca {
		if c.private != nil {
			c.private.Close()
		}
		c.ca, c.private = ca, &rest.Client{Roots: rest.Files(ca)}
	}
	return c.private
}

// ResourceDetail returns the text of a field of DescribeStackResource's answer, which is JSON
// (heat, common/serializers.py).
func ResourceDetail(answer []byte, field string) (json.RawMessage, error) {
	path := [...]string{"DescribeStackResourceResponse", "DescribeStackResourceResult", "StackResourceDetail", field}
	dec := xml.NewDecoder(strings.NewReader(string(answer)))
	depth, matched := 0, 0
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("the answer does not have it")
		}
		if err != nil {
			return nil, fmt.Errorf("the answer is no XML: %w", err)
		}
		switch element := token.(type) {
		case xml.StartElement:
			if depth == matched && element.Name.Local == path[matched] {
				matched++
			}
			depth++
			if matched == len(path) {
				return elementText(dec)
			}
		case xml.EndElement:
			depth--
			matched = min(matched, depth)
		}
	}
}

// elementText reads the text up to the end of the element that has just begun.
func elementText(dec *xml.Decoder) (json.RawMessage, error) {
	var text strings.Builder
	for {
		token, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("the answer is no XML: %w", err)
		}
		switch part := token.(type) {
		case xml.CharData:
			text.Write(part)
		case xml.StartElement:
			return nil, fmt.Errorf("element %s where a text was expected", part.Name.Local)
		case xml.EndElement:
			if !json.Valid([]byte(text.String())) {
				return nil, errors.New("its text is not JSON")
			}
			return json.RawMessage(text.String()), nil
		}
	}
}

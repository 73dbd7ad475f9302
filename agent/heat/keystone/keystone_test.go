package keystone_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"slipway.build/slipway/agent/heat/keystone"
	"slipway.build/slipway/agent/heat/rest"
	"slipway.build/slipway/agent/heat/testcloud"
)

const path = "/stacks/" + testcloud.Stack + "/resources/" + testcloud.Server + "/metadata"

type rig struct {
	*keystone.Client
	cloud       *testcloud.Cloud
	credentials keystone.Credentials
	now         time.Time
}

func newRig(t *testing.T) *rig {
	cloud := testcloud.New(t)
	r := &rig{cloud: cloud, now: time.Now(), credentials: keystone.Credentials{
		AuthURL: cloud.AuthURL(), UserID: "user-of-the-server", Password: "server-password", ProjectID: testcloud.Project,
	}}
	r.Client = &keystone.Client{HTTP: &rest.Client{}, Now: func() time.Time { return r.now }}
	return r
}

func (r *rig) get(t *testing.T) error {
	_, err := r.Call(t.Context(), r.credentials, keystone.Orchestration, testcloud.Region, http.MethodGet, path, nil, nil)
	return err
}

func TestATokenIsKeptUntilItNearsItsEnd(t *testing.T) {
	r := newRig(t)
	for range 5 {
		if err := r.get(t); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.cloud.Calls(testcloud.Token); n != 1 {
		t.Errorf("%d tokens for five calls", n)
	}
	r.now = r.now.Add(59 * time.Minute)
	if err := r.get(t); err != nil || r.cloud.Calls(testcloud.Token) != 2 {
		t.Errorf("%d tokens after an hour, %v", r.cloud.Calls(testcloud.Token), err)
	}
}

func TestARefusedTokenIsReplacedAtOnceAndOnlyOnce(t *testing.T) {
	r := newRig(t)
	if err := r.get(t); err != nil {
		t.Fatal(err)
	}
	r.cloud.ExpireTokens()
	if err := r.get(t); err != nil || r.cloud.Calls(testcloud.Token) != 2 {
		t.Errorf("%d tokens, %v", r.cloud.Calls(testcloud.Token), err)
	}
	r.cloud.Fail(testcloud.Metadata, 401, 401)
	if err := r.get(t); rest.StatusOf(err) != http.StatusUnauthorized || r.cloud.Left(testcloud.Metadata) != 0 {
		t.Errorf("error %v", err)
	}
}

func TestOurClockDoesNotDecideOnTheLifeOfAToken(t *testing.T) {
	for _, skew := range []time.Duration{-24 * time.Hour, -20 * time.Minute, 20 * time.Minute, 24 * time.Hour} {
		r := newRig(t)
		r.cloud.SkewClock(skew)
		for range 3 {
			if err := r.get(t); err != nil {
				t.Fatal(err)
			}
		}
		if n := r.cloud.Calls(testcloud.Token); n != 1 {
			t.Errorf("skew %s: %d tokens for three calls", skew, n)
		}
	}
}

func TestAVersionInTheAddressDoesNotMatter(t *testing.T) {
	for _, end := range []string{"", "/", "/v3", "/v3/", "/v2.0", "/v2.0/"} {
		r := newRig(t)
		r.credentials.AuthURL = r.cloud.URL + "/identity" + end
		if err := r.get(t); err != nil {
			t.Errorf("%q: %v", end, err)
		}
	}
}

func TestARegionThatIsNotInTheCatalogIsNamed(t *testing.T) {
	r := newRig(t)
	_, err := r.Call(t.Context(), r.credentials, keystone.Orchestration, "Nowhere", http.MethodGet, path, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "region Nowhere") {
		t.Errorf("error %v", err)
	}
	r.credentials.Password = "wrong-password"
	if err := r.get(t); err == nil || strings.Contains(err.Error(), "wrong-password") {
		t.Errorf("error %v", err)
	}
}

func TestAKeystoneThatIsElsewhereIsAskedWhere(t *testing.T) {
	r := newRig(t)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch {
		case q.URL.Path == "/" && q.Method == http.MethodGet:
			w.WriteHeader(http.StatusMultipleChoices)
			_, _ = io.WriteString(w, `{"versions":{"values":[{"id":"v2.0","links":[{"rel":"self","href":"http://`+q.Host+`/v2.0/"}]},
				{"id":"v3.14","links":[{"rel":"self","href":"http://elsewhere.test/"},{"rel":"self","href":"http://`+q.Host+`/odd/v3/"}]}]}}`)
		case q.URL.Path == "/odd/v3/auth/tokens":
			q.URL.Path = "/identity/v3/auth/tokens"
			target, _ := url.Parse(r.cloud.URL)
			httputil.NewSingleHostReverseProxy(target).ServeHTTP(w, q)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer elsewhere.Close()
	r.credentials.AuthURL = elsewhere.URL + "/v2.0"
	if err := r.get(t); err != nil {
		t.Error(err)
	}
}

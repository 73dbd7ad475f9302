package signature_test

import (
	"net/url"
	"testing"

	"slipway.build/slipway/agent/heat/signature"
)

func TestTheGoldenVectorOfHeat(t *testing.T) {
	// heat/tests/test_signal.py, recomputed.
	got := signature.Sign("8901", "POST", "Server.test:8000",
		"/v1/signal/arn:openstack:heat::test_tenant:stacks/FnGetAtt-alarm-url/FnGetAtt-alarm-url/resources/signal_handler",
		map[string]string{
			"SignatureMethod": "HmacSHA256", "SignatureVersion": "2",
			"AWSAccessKeyId": "4567", "Timestamp": "2012-11-29T13:49:37Z",
		})
	if want := "JWGilkQ4gHS+Y4+zhL41xSAC7+cUCwDsaIxq9xPYPKE="; got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestAQuerySignsWhatItSends(t *testing.T) {
	base, err := url.Parse("http://heat.test:8000/v1/")
	if err != nil {
		t.Fatal(err)
	}
	signed, err := url.Parse(signature.Query(base, "key", "secret", map[string]string{"Action": "DescribeStackResource", "StackName": "a b+c~d", "LogicalResourceId": "srv"}))
	if err != nil {
		t.Fatal(err)
	}
	parameters := map[string]string{}
	for key, values := range signed.Query() {
		parameters[key] = values[0]
	}
	got := parameters["Signature"]
	delete(parameters, "Signature")
	if want := signature.Sign("secret", "GET", "heat.test:8000", "/v1/", parameters); got != want || len(parameters) != 6 {
		t.Errorf("signature %s, want %s, of %v", got, want, parameters)
	}
}

package api

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Microversion is the minor part of a 1.x API version.
type Microversion int

// The microversions that are served. 1.13 would drop stack_id from clusters, on which the
// cluster autoscaler and the auto-healer rely.
const (
	MinVersion Microversion = 1
	MaxVersion Microversion = 12
)

// Microversions at which something changes that this package serves.
const (
	versionNodegroups      Microversion = 9  // nodegroups
	versionZeroNodes       Microversion = 10 // node_count 0
	versionUnknownTemplate Microversion = 10 // an unknown template is 404, before 400
)

const (
	versionHeader = "OpenStack-API-Version"
	serviceType   = "container-infra"
)

func (v Microversion) String() string { return "1." + strconv.Itoa(int(v)) }

// isServiceType reports whether a version header's service type means us; the aliases are those
// of the service types authority.
func isServiceType(name string) bool {
	switch name {
	case serviceType, "container-infrastructure", "container-infrastructure-management":
		return true
	}
	return false
}

// parseMicroversion reads the version header. No header means 1.1; "<anything> latest" means
// the newest. Everything that cannot be served is a 406.
func parseMicroversion(header string) (Microversion, error) {
	header = strings.TrimSpace(header)
	if header == "" {
		return MinVersion, nil
	}
	service, number, ok := strings.Cut(header, " ")
	number = strings.TrimSpace(number)
	if !ok || number == "" {
		return 0, notAcceptable("Invalid version header %q: expected \"%s <version>\".", header, serviceType)
	}
	if strings.EqualFold(number, "latest") {
		return MaxVersion, nil
	}
	if !isServiceType(service) {
		return 0, notAcceptable("Invalid service type %q in the version header: expected %q.", service, serviceType)
	}
	major, minor, ok := strings.Cut(number, ".")
	majorNumber, majorErr := strconv.ParseUint(major, 10, 16)
	minorNumber, minorErr := strconv.ParseUint(minor, 10, 16)
	if !ok || majorErr != nil || minorErr != nil {
		return 0, notAcceptable("Invalid version %q in the version header: expected major.minor or latest.", number)
	}
	v := Microversion(minorNumber)
	if majorNumber != 1 || v < MinVersion || v > MaxVersion {
		return 0, &Error{
			Status: http.StatusNotAcceptable,
			Code:   "magnum.microversion-unsupported",
			Title:  "Requested microversion is unsupported",
			Detail: fmt.Sprintf("Version %s was requested but the minor version must be between %s and %s.", number, MinVersion, MaxVersion),
			extra: map[string]any{
				"max_version": MaxVersion.String(), "min_version": MinVersion.String(),
				"links": []any{map[string]string{"rel": "help", "href": "https://docs.openstack.org/api-ref/container-infrastructure-management/"}},
			},
		}
	}
	return v, nil
}

func notAcceptable(format string, a ...any) error {
	return &Error{Status: http.StatusNotAcceptable, Detail: fmt.Sprintf(format, a...)}
}

// setVersionHeaders adds the version headers that every answer carries.
func setVersionHeaders(h http.Header, v Microversion) {
	h.Set("OpenStack-API-Minimum-Version", serviceType+" "+MinVersion.String())
	h.Set("OpenStack-API-Maximum-Version", serviceType+" "+MaxVersion.String())
	h.Set(versionHeader, serviceType+" "+v.String())
	h.Add("Vary", versionHeader)
}

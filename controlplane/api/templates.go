package api

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"slipway.build/slipway/controlplane/identity"
	"slipway.build/slipway/controlplane/store"
)

var templateSortKeys = []string{"uuid", "name", "image_id", "flavor_id", "master_flavor_id", "created_at", "updated_at"}

// Defaults of a template, as in Magnum. There is none for the network driver, which is flannel
// there.
const (
	defaultDNSNameserver = "8.8.8.8"
	defaultStorageDriver = "overlay2"
	defaultServerType    = "vm"
	defaultDistro        = "fedora-coreos"
)

// templateFields are the fields of a create request, and those that only we set.
func templateFields() []field {
	fields := []field{
		{name: "name", minLength: 1},
		{name: "coe", required: true, oneOf: []string{"kubernetes"}},
		{name: "image_id", required: true, minLength: 1},
		{name: "flavor_id", minLength: 1},
		{name: "master_flavor_id", minLength: 1},
		{name: "keypair_id", minLength: 1},
		{name: "external_network_id", minLength: 1},
		{name: "fixed_network", minLength: 1},
		{name: "fixed_subnet", minLength: 1},
		{name: "dns_nameserver"},
		{name: "network_driver", oneOf: []string{"calico", "flannel"}},
		{name: "volume_driver", oneOf: []string{"cinder"}},
		{name: "apiserver_port", kind: integerField, min: 1024, max: 65535},
		{name: "docker_volume_size", kind: integerField, min: 1},
		{name: "docker_storage_driver", oneOf: []string{"devicemapper", "overlay", "overlay2", "btrfs"}},
		{name: "http_proxy"}, {name: "https_proxy"}, {name: "no_proxy"},
		{name: "insecure_registry"},
		{name: "registry_enabled", kind: booleanField},
		{name: "tls_disabled", kind: booleanField},
		{name: "server_type", oneOf: []string{"vm", "bm"}},
		{name: "labels", kind: labelsField},
		{name: "master_lb_enabled", kind: booleanField},
		{name: "floating_ip_enabled", kind: booleanField},
		{name: "public", kind: booleanField},
		{name: "hidden", kind: booleanField},
		{name: "tags"},
	}
	for _, name := range []string{"uuid", "cluster_distro", "project_id", "user_id", "created_at", "updated_at", "links"} {
		fields = append(fields, field{name: name, readOnly: true})
	}
	return fields
}

func (s *server) listTemplates(w http.ResponseWriter, r *http.Request) error {
	return s.writeTemplates(w, r, "clustertemplates")
}

func (s *server) listTemplatesDetail(w http.ResponseWriter, r *http.Request) error {
	return s.writeTemplates(w, r, "clustertemplates/detail")
}

func (s *server) writeTemplates(w http.ResponseWriter, r *http.Request, resource string) error {
	ctx, caller := r.Context(), identity.FromContext(r.Context())
	p, err := readPage(r, templateSortKeys...)
	if err != nil {
		return err
	}
	if p.marker != "" {
		if _, err := findTemplate(ctx, s.Store, caller, p.marker); err != nil {
			return err
		}
	}
	templates, err := s.Store.ClusterTemplates(ctx, caller.ProjectID, p.stored())
	if err != nil {
		return err
	}
	views := make([]templateView, 0, len(templates))
	last := ""
	for i := range templates {
		views = append(views, viewTemplate(baseOf(r), &templates[i]))
		last = templates[i].UUID
	}
	writeCollection(w, "clustertemplates", views, p.next(baseOf(r), resource, len(views), last))
	return nil
}

func (s *server) showTemplate(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	template, err := findTemplate(ctx, s.Store, identity.FromContext(ctx), r.PathValue("template"))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, viewTemplate(baseOf(r), template))
	return nil
}

func (s *server) createTemplate(w http.ResponseWriter, r *http.Request) error {
	ctx, caller := r.Context(), identity.FromContext(r.Context())
	b, err := readBody(w, r, templateFields())
	if err != nil {
		return err
	}
	t, err := newTemplate(b, caller)
	if err != nil {
		return err
	}
	if err := s.checkTemplate(ctx, caller, t); err != nil {
		return err
	}
	if err := s.Store.Tx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.InsertClusterTemplate(ctx, t) }); err != nil {
		return err
	}
	view := viewTemplate(baseOf(r), t)
	w.Header().Set("Location", view.Links[0].HRef)
	writeJSON(w, http.StatusCreated, view)
	return nil
}

func newTemplate(b body, caller identity.Caller) (*store.ClusterTemplate, error) {
	t := &store.ClusterTemplate{
		UUID: store.NewID(), ProjectID: caller.ProjectID, UserID: caller.UserID,
		COE: *b.text("coe"), ImageID: *b.text("image_id"),
		FlavorID: b.text("flavor_id"), MasterFlavorID: b.text("master_flavor_id"), KeypairID: b.text("keypair_id"),
		ExternalNetworkID: b.text("external_network_id"), FixedNetwork: b.text("fixed_network"), FixedSubnet: b.text("fixed_subnet"),
		DNSNameserver:       orText(b.text("dns_nameserver"), defaultDNSNameserver),
		NetworkDriver:       b.text("network_driver"),
		VolumeDriver:        b.text("volume_driver"),
		APIServerPort:       b.integer("apiserver_port"),
		DockerVolumeSize:    b.integer("docker_volume_size"),
		DockerStorageDriver: orText(b.text("docker_storage_driver"), defaultStorageDriver),
		ClusterDistro:       orText(nil, defaultDistro),
		HTTPProxy:           b.text("http_proxy"), HTTPSProxy: b.text("https_proxy"), NoProxy: b.text("no_proxy"),
		InsecureRegistry:  b.text("insecure_registry"),
		RegistryEnabled:   valueOf(b.boolean("registry_enabled"), false),
		TLSDisabled:       valueOf(b.boolean("tls_disabled"), false),
		ServerType:        valueOf(b.text("server_type"), defaultServerType),
		Labels:            b.labels("labels"),
		MasterLBEnabled:   valueOf(b.boolean("master_lb_enabled"), false),
		FloatingIPEnabled: valueOf(b.boolean("floating_ip_enabled"), true),
		Public:            valueOf(b.boolean("public"), false),
		Hidden:            valueOf(b.boolean("hidden"), false),
		Tags:              b.text("tags"),
	}
	if name := b.text("name"); name != nil {
		t.Name = *name
		return t, nil
	}
	var err error
	t.Name, err = randomName("template")
	return t, err
}

// checkTemplate checks what the types of the fields do not say.
func (s *server) checkTemplate(ctx context.Context, caller identity.Caller, t *store.ClusterTemplate) error {
	if (t.Public || t.Hidden) && !slices.Contains(caller.Roles, "admin") {
		return forbidden("Not authorized to set public or hidden flag for cluster template.")
	}
	if t.TLSDisabled {
		return badRequest("Clusters without TLS are not supported. Leave tls_disabled out or set it to false.")
	}
	if *t.DockerStorageDriver == "devicemapper" && t.DockerVolumeSize != nil && *t.DockerVolumeSize < minDeviceMapperSize {
		return badRequest("docker volume size %d GB is not valid, expecting minimum value %d GB for devicemapper storage driver.", *t.DockerVolumeSize, minDeviceMapperSize)
	}
	for _, address := range strings.Split(*t.DNSNameserver, ",") {
		if _, err := netip.ParseAddr(strings.TrimSpace(address)); err != nil {
			return badRequest("Expected a single dns address or comma separated dns list, but received %s.", shown(*t.DNSNameserver))
		}
	}
	for _, flavor := range []*string{t.FlavorID, t.MasterFlavorID} {
		if flavor == nil {
			continue // a cluster may name it
		}
		if err := s.checkFlavor(ctx, flavor); err != nil {
			return err
		}
	}
	return nil
}

func orText(text *string, otherwise string) *string {
	if text != nil {
		return text
	}
	return &otherwise
}

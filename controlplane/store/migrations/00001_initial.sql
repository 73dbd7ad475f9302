-- +goose Up
CREATE TABLE clusters (
    id {{.Serial}},
    uuid TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    cluster_template_id TEXT NOT NULL,
    keypair TEXT,
    docker_volume_size INTEGER,
    labels TEXT NOT NULL,
    merge_labels BOOLEAN NOT NULL,
    master_flavor_id TEXT,
    flavor_id TEXT,
    create_timeout INTEGER NOT NULL,
    discovery_url TEXT,
    fixed_network TEXT,
    fixed_subnet TEXT,
    floating_ip_enabled BOOLEAN NOT NULL,
    master_lb_enabled BOOLEAN NOT NULL,
    stack_id TEXT,
    api_address TEXT,
    coe_version TEXT,
    container_version TEXT,
    status TEXT NOT NULL,
    status_reason TEXT,
    health_status TEXT,
    health_status_reason TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ
);
CREATE INDEX clusters_project ON clusters (project_id, id);
CREATE INDEX clusters_template ON clusters (cluster_template_id);

CREATE TABLE nodegroups (
    id {{.Serial}},
    uuid TEXT NOT NULL UNIQUE,
    cluster_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    name TEXT NOT NULL,
    docker_volume_size INTEGER,
    labels TEXT NOT NULL,
    merge_labels BOOLEAN NOT NULL,
    flavor_id TEXT,
    image_id TEXT,
    node_addresses TEXT NOT NULL,
    node_count INTEGER NOT NULL,
    role TEXT NOT NULL,
    min_node_count INTEGER NOT NULL,
    max_node_count INTEGER,
    is_default BOOLEAN NOT NULL,
    stack_id TEXT,
    status TEXT NOT NULL,
    status_reason TEXT,
    version TEXT,
    node_labels TEXT NOT NULL,
    node_taints TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ,
    UNIQUE (cluster_id, name)
);

CREATE TABLE cluster_templates (
    id {{.Serial}},
    uuid TEXT NOT NULL UNIQUE,
    project_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    name TEXT NOT NULL,
    coe TEXT NOT NULL,
    image_id TEXT NOT NULL,
    flavor_id TEXT,
    master_flavor_id TEXT,
    keypair_id TEXT,
    external_network_id TEXT,
    fixed_network TEXT,
    fixed_subnet TEXT,
    dns_nameserver TEXT,
    network_driver TEXT,
    volume_driver TEXT,
    apiserver_port INTEGER,
    docker_volume_size INTEGER,
    docker_storage_driver TEXT,
    cluster_distro TEXT,
    http_proxy TEXT,
    https_proxy TEXT,
    no_proxy TEXT,
    insecure_registry TEXT,
    registry_enabled BOOLEAN NOT NULL,
    tls_disabled BOOLEAN NOT NULL,
    server_type TEXT NOT NULL,
    labels TEXT NOT NULL,
    master_lb_enabled BOOLEAN NOT NULL,
    floating_ip_enabled BOOLEAN NOT NULL,
    public BOOLEAN NOT NULL,
    hidden BOOLEAN NOT NULL,
    tags TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ
);
CREATE INDEX cluster_templates_project ON cluster_templates (project_id, id);

CREATE TABLE operations (
    seq {{.Serial}},
    id TEXT NOT NULL UNIQUE,
    cluster_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    actor TEXT NOT NULL,
    preempts BOOLEAN NOT NULL,
    state TEXT NOT NULL,
    not_before TIMESTAMPTZ NOT NULL,
    lease_owner TEXT,
    lease_until TIMESTAMPTZ,
    fence BIGINT NOT NULL,
    attempts INTEGER NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    started_at TIMESTAMPTZ,
    finished_at TIMESTAMPTZ,
    error TEXT
);
CREATE INDEX operations_state ON operations (state, seq);
CREATE INDEX operations_cluster ON operations (cluster_id, seq);

CREATE TABLE stacks (
    seq {{.Serial}},
    id TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    root_id TEXT NOT NULL,
    parent_id TEXT,
    parent_resource TEXT,
    depth INTEGER NOT NULL,
    cluster_id TEXT NOT NULL,
    project_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    template_name TEXT NOT NULL,
    template TEXT NOT NULL,
    files TEXT NOT NULL,
    parameters TEXT NOT NULL,
    outputs TEXT NOT NULL,
    action TEXT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    timeout BIGINT NOT NULL,
    deadline TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ,
    deleted_at TIMESTAMPTZ
);
CREATE INDEX stacks_root ON stacks (root_id, seq);
CREATE INDEX stacks_cluster ON stacks (cluster_id, seq);
CREATE INDEX stacks_name ON stacks (name);

CREATE TABLE resources (
    seq {{.Serial}},
    id TEXT NOT NULL UNIQUE,
    stack_id TEXT NOT NULL,
    root_id TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    physical_id TEXT NOT NULL,
    nested_id TEXT,
    action TEXT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    properties TEXT NOT NULL,
    attributes TEXT NOT NULL,
    metadata TEXT NOT NULL,
    depends_on TEXT NOT NULL,
    required_by TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    deadline TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ,
    UNIQUE (stack_id, name)
);
CREATE INDEX resources_root ON resources (root_id, seq);
CREATE INDEX resources_physical ON resources (physical_id);

CREATE TABLE events (
    seq {{.Serial}},
    id TEXT NOT NULL UNIQUE,
    cluster_id TEXT NOT NULL,
    root_id TEXT NOT NULL,
    stack_id TEXT NOT NULL,
    stack_name TEXT NOT NULL,
    resource_name TEXT NOT NULL,
    physical_id TEXT NOT NULL,
    resource_type TEXT NOT NULL,
    status TEXT NOT NULL,
    status_reason TEXT NOT NULL,
    actor TEXT NOT NULL,
    time TIMESTAMPTZ NOT NULL
);
CREATE INDEX events_stack ON events (stack_id, seq);
CREATE INDEX events_root ON events (root_id, seq);
CREATE INDEX events_cluster ON events (cluster_id, seq);

CREATE TABLE nodes (
    seq {{.Serial}},
    id TEXT NOT NULL UNIQUE,
    cluster_id TEXT NOT NULL,
    nodegroup TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    address TEXT NOT NULL,
    pod_index INTEGER,
    pod_cidr TEXT NOT NULL,
    state TEXT NOT NULL,
    token_hash TEXT,
    token_sealed {{.Blob}},
    token_expires_at TIMESTAMPTZ,
    token_used_at TIMESTAMPTZ,
    certificate_serial TEXT,
    certificate_fingerprint TEXT,
    joined_at TIMESTAMPTZ,
    seen_at TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (cluster_id, name),
    UNIQUE (cluster_id, pod_index)
);

CREATE TABLE plans (
    seq {{.Serial}},
    node_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    deployment TEXT NOT NULL,
    digest TEXT NOT NULL,
    envelope {{.Blob}} NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (node_id, generation)
);

CREATE TABLE signals (
    seq {{.Serial}},
    id TEXT NOT NULL UNIQUE,
    node_id TEXT NOT NULL,
    deployment TEXT NOT NULL,
    phase TEXT NOT NULL,
    body TEXT NOT NULL,
    received_at TIMESTAMPTZ NOT NULL
);
CREATE INDEX signals_deployment ON signals (deployment, seq);
CREATE INDEX signals_node ON signals (node_id, seq);

CREATE TABLE authorities (
    seq {{.Serial}},
    cluster_id TEXT NOT NULL,
    purpose TEXT NOT NULL,
    version INTEGER NOT NULL,
    certificate TEXT NOT NULL,
    sealed_key {{.Blob}} NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (cluster_id, purpose, version)
);

CREATE TABLE secrets (
    seq {{.Serial}},
    cluster_id TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    sealed {{.Blob}} NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    UNIQUE (cluster_id, name, version)
);

CREATE TABLE facts (
    seq {{.Serial}},
    cluster_id TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    updated_at TIMESTAMPTZ NOT NULL,
    UNIQUE (cluster_id, name)
);

-- +goose Down
DROP TABLE facts;
DROP TABLE secrets;
DROP TABLE authorities;
DROP TABLE signals;
DROP TABLE plans;
DROP TABLE nodes;
DROP TABLE events;
DROP TABLE resources;
DROP TABLE stacks;
DROP TABLE operations;
DROP TABLE cluster_templates;
DROP TABLE nodegroups;
DROP TABLE clusters;

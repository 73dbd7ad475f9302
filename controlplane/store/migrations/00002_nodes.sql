-- +goose Up
CREATE TABLE node_conditions (
    seq {{.Serial}},
    node_id TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    since TIMESTAMPTZ NOT NULL,
    observed_at TIMESTAMPTZ NOT NULL,
    UNIQUE (node_id, type)
);

CREATE TABLE actions (
    seq {{.Serial}},
    id TEXT NOT NULL UNIQUE,
    cluster_id TEXT NOT NULL,
    node_id TEXT NOT NULL,
    number BIGINT NOT NULL,
    kind TEXT NOT NULL,
    arguments TEXT NOT NULL,
    actor TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    answer TEXT NOT NULL,
    lock_digest TEXT NOT NULL,
    envelope {{.Blob}} NOT NULL,
    archive_size BIGINT NOT NULL,
    archive_sha256 TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    delivered_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ,
    ended_at TIMESTAMPTZ,
    UNIQUE (node_id, number)
);
CREATE INDEX actions_state ON actions (state, expires_at);

-- +goose Down
DROP TABLE actions;
DROP TABLE node_conditions;

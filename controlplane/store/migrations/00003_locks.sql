-- +goose Up
CREATE TABLE locks (
    seq {{.Serial}},
    digest TEXT NOT NULL UNIQUE,
    canonical {{.Blob}} NOT NULL,
    signature {{.Blob}} NOT NULL,
    created_at TIMESTAMPTZ NOT NULL
);

-- +goose Down
DROP TABLE locks;

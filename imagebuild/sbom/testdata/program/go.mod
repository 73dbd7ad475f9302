module slipway.build/small

go 1.26.0

require (
	github.com/opencontainers/go-digest v1.0.0
	github.com/pborman/uuid v1.2.0
	slipway.build/replaced v0.0.0
)

replace github.com/pborman/uuid v1.2.0 => github.com/google/uuid v1.6.0

replace slipway.build/replaced v0.0.0 => ./replaced

module slipway.build/replaced

go 1.26.0

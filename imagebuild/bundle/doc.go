// Package bundle carries images between places: into one archive for a site without a network, out of it, and from
// layouts, archives and registries to registries and layouts. What travels are images of a layout with all that
// belongs to them (manifests, layers, signatures, evidence) and the signed lock that names them. Every byte
// is compared with its digest on the way; nothing is believed or signed here (package trust proves).
package bundle

// Package metadata holds what Heat tells a server: documents, the deployments in them, and the
// settings by which further documents are collected (heat, engine/resources/server_base.py and
// engine/api.py:format_software_config). It parses foreign bytes and runs nothing.
package metadata

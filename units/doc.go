// Package units holds systemd units as values: an ordered list of sections and options that
// is rendered to the one text that stands for it, parsed from text with the line named in
// every error, compared with another unit in words, and filled with arguments, variables and
// paths that are quoted by systemd's own rules (systemd.syntax(7), systemd.service(5)).
package units

// Package butane translates Butane configurations of the variant fcos into Ignition
// configurations, and Ignition configurations back into Butane ones. What is wrong with a Butane
// configuration is reported with its file, line and column.
package butane

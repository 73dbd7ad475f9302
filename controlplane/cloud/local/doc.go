// Package local is the cloud of this machine: networks and routers in namespaces, servers in
// containers, volumes in files, behind the resource types of OpenStack.
package local

// Package collect gets a server's metadata from where Heat puts it: one collector for each
// transport (heat, CloudFormation, Swift temporary URL, Zaqar) and for what is on the machine
// itself (user data, EC2 metadata, local files). A collector returns documents as they are;
// nothing is merged, kept or run here.
package collect

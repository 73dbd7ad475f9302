// Package template reads, checks and evaluates the part of Heat's template language (HOT) that
// cluster templates need.
//
// Known sections: heat_template_version, description, parameters, conditions, resources,
// outputs. Known functions: get_param, get_resource, get_attr, str_replace, list_join,
// list_concat, if; in conditions also equals, not, and, or. A resource's type is a type of the cloud, the name of
// another template (its parameters are the properties, its outputs the attributes), or
// OS::Heat::ResourceGroup. Whatever is not known is an error with file and line.
//
// Values are those of encoding/json: all numbers are float64.
package template

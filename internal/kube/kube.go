// Package kube reads the few Kubernetes kinds that say which services and endpoints there are.
//
// The types hold only what a mesh needs of them, so that no Kubernetes library is linked. Fields that are not
// read may hold anything; a field that is read and has the wrong type is a fault.
package kube

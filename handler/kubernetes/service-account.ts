/** Where the kubelet puts what a Pod needs for the API: `token`, `ca.crt` and `namespace`. */
export const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

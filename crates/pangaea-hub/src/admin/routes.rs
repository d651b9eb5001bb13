//! The table of all that the admin service answers, and who may ask for it. What each route takes
//! and answers is told to the world by `openapi`, from the same table.

use http::Method;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdminEndpoint {
    StatusPage,
    Metrics,
    Health,
    Ready,
    OpenApi,
    Settings,
    Change,
    Reload,
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Everybody who reaches the service.
    Everybody,
    /// Who has the token, also as a password. Browsers send a password again by themselves,
    /// wherever a link comes from, so it opens only what changes nothing.
    Look,
    /// Who has the token.
    Token,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct AdminRoute {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) endpoint: AdminEndpoint,
    pub(crate) access: Access,
}

/// Every route.
pub(crate) static ROUTES: [AdminRoute; 8] = {
    use AdminEndpoint as To;
    const fn route(
        method: Method,
        path: &'static str,
        endpoint: AdminEndpoint,
        access: Access,
    ) -> AdminRoute {
        AdminRoute {
            method,
            path,
            endpoint,
            access,
        }
    }
    const CONFIG: &str = "/v1/admin/config";
    [
        route(Method::GET, "/", To::StatusPage, Access::Look),
        route(Method::GET, "/metrics", To::Metrics, Access::Look),
        route(Method::GET, "/health", To::Health, Access::Everybody),
        route(Method::GET, "/ready", To::Ready, Access::Everybody),
        route(Method::GET, "/openapi.json", To::OpenApi, Access::Everybody),
        route(Method::GET, CONFIG, To::Settings, Access::Token),
        route(Method::POST, CONFIG, To::Change, Access::Token),
        route(Method::POST, "/v1/admin/reload", To::Reload, Access::Token),
    ]
};

/// The route of a request.
pub(crate) fn find(method: &Method, path: &str) -> Option<&'static AdminRoute> {
    ROUTES
        .iter()
        .find(|route| route.path == path && route.method == *method)
}

/// The methods that a path has, as the header `Allow` names them.
pub(crate) fn allowed(path: &str) -> String {
    let rows = ROUTES.iter().filter(|route| route.path == path);
    let methods: Vec<_> = rows.map(|route| route.method.as_str()).collect();
    methods.join(", ")
}
